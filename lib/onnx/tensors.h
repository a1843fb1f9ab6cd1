// TensorProto to ir::Tensor, weight bytes left where they are.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hone/ir/tensor.h"
#include "hone/onnx/read.h"
#include "onnx/wire.h"

namespace hone::onnx {

// The files beside a model: opened once each, only below the model's folder, and with every range of them that a tensor
// takes noted.
class ExternalFiles {
 public:
  ExternalFiles(const File& model, const ReadOptions& options);
  ir::Tensor tensor(ir::ElementType type, ir::Dims dims,
                    const std::vector<std::pair<std::string, std::string>>& entries);
  // Raises bad_input where ranges overlap without being the same, or where a small file is shared by so many tensors
  // that it was made to blow up.
  void check() const;

 private:
  struct Opened {
    std::shared_ptr<const File> file;
    std::vector<wire::Range> ranges;
  };
  Opened& open(const std::string& location);

  std::string model_, folder_;
  bool piped_;
  std::map<std::string, Opened> files_;
};

struct NamedTensor {
  ir::Tensor tensor;
  std::string name;
};

struct TensorReader {
  wire::Source& source;
  const ReadOptions& options;
  ExternalFiles& external;

  // The message, whose parts (usually one) merge. `keep_name`: the name goes to the tensor's rest as well. Null for the
  // element types that ONNX has and the IR does not (6-bit floats).
  std::optional<NamedTensor> read(std::span<const wire::Range> ranges, bool keep_name);
};

}  // namespace hone::onnx
