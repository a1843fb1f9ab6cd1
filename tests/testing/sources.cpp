#include "sources.h"

namespace hone::testing {

std::string source_path(const std::string& name) { return std::string(HONE_SOURCES) + "/" + name; }

}  // namespace hone::testing
