// The state of a training run in one file.
//
// An .npz: arrays of weights and of the optimizer's running means, and "state", a JSON text as bytes. Written to a
// temporary file and renamed; every member has a CRC-32, all of which are compared before anything is used.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "hone/ir/tensor.h"

namespace hone::train {

struct Checkpoint {
  nlohmann::json state;
  std::vector<std::pair<std::string, ir::Tensor>> arrays;

  const ir::Tensor* find(std::string_view name) const;
};

void write_checkpoint(const std::string& path, const Checkpoint& checkpoint);
// nullopt where there is no such file. Raises bad_input for one that is damaged or no checkpoint.
std::optional<Checkpoint> read_checkpoint(const std::string& path);

}  // namespace hone::train
