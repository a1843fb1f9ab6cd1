// One reader a file format.
#pragma once

#include <memory>
#include <vector>

#include "hone/data/dataset.h"
#include "hone/support/file.h"

namespace hone::data {

// Columns of a table. `separator`: ',' or tab.
std::vector<Array> read_csv(const std::shared_ptr<const File>& file, char separator);
// Values by key, one object a line.
std::vector<Array> read_jsonl(const std::shared_ptr<const File>& file);
// The one array of an IDX file.
ir::Tensor read_idx(const std::shared_ptr<const File>& file);

}  // namespace hone::data
