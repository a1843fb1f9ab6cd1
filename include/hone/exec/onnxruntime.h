// ONNX Runtime, where its library is installed: opened when asked for, never linked, no headers of it needed. For comparing
// with the runtime that will serve a model.
//
// Its C interface is a table of functions that only grows; what is used here is the part of its version 1, which every
// release since has at the same places. CPU provider, all graph optimizations, one run at a time.
// Not handled: inputs that are no tensors, or tensors of strings.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hone/ir/datum.h"

namespace hone::exec {

// `library`, or else the file that HONE_ORT_LIBRARY names, or else what the loader finds as libonnxruntime.so.
std::string onnxruntime_library(const std::string& library);

class OnnxRuntime {
 public:
  // A session for a model file (.onnx). Raises io where the library can't be opened, unsupported where it is none, or
  // refuses the model.
  OnnxRuntime(const std::string& library, const std::string& model, int threads);
  ~OnnxRuntime();
  OnnxRuntime(const OnnxRuntime&) = delete;
  OnnxRuntime& operator=(const OnnxRuntime&) = delete;

  const std::string& version() const;  // "1.32.0"
  const std::vector<std::string>& input_names() const;
  const std::vector<std::string>& output_names() const;

  // Inputs in the form the library takes, made once for many runs; those the model does not have are left out. The memory of
  // the tensors is shared and must stay as it is.
  class Inputs;
  std::shared_ptr<const Inputs> prepare(const std::vector<ir::NamedDatum>& inputs) const;
  // All outputs are computed and dropped.
  void run(const Inputs& inputs) const;
  // All outputs, copied; default Datums for those that are no tensors of numbers.
  std::vector<ir::Datum> outputs(const Inputs& inputs) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hone::exec
