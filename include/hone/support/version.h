// The version of the library, "major.minor.patch".
#pragma once

#include <string_view>

namespace hone {

std::string_view version();

}  // namespace hone
