// Types, symbolic shapes and the contents of small integer tensors, node by node.
//
// Own functions with symbolic arithmetic for the operators that models' shapes flow through (lib/shapes, one file per
// family); ONNX's OpSchema inference for the rest. What the file declares is believed where nothing better is known; an
// inferred dimension that contradicts a declared one is a bad model and leaves the declared type alone, with a warning.
//
// Not handled: data-dependent sizes (NonZero, Unique) become fresh symbols of no name, that is unknown dimensions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "hone/ir/model.h"
#include "hone/support/observer.h"

namespace hone::shapes {

class Inference {
 public:
  explicit Inference(ir::Model& model, Observer* observer = nullptr);
  ~Inference();
  Inference(const Inference&) = delete;

  // Every graph of the model, in order. Cost: one call per node.
  void run();
  // The node is new, or an input, an attribute or the type of an input changed: infers it and, while types get better,
  // the nodes after it.
  void update(ir::Node& node);
  // Called for every value whose type or elements got better during update(): its users are worth another look.
  void on_change(std::function<void(const ir::Value&)> listener);

  // The elements of a small integer (or boolean) tensor, flattened, as far as they are known: from constants and
  // through Shape, Size, Gather, Concat, Slice, Squeeze, Unsqueeze, Reshape, Cast, arithmetic, Where, Range ... An
  // element nobody knows is an unknown Dimension. Null where nothing is known. At most 256 elements are followed.
  const std::vector<ir::Dimension>* elements(const ir::Value& value) const;
  // All elements as numbers.
  std::optional<std::vector<std::int64_t>> known_ints(const ir::Value& value) const;

  // Before a value is destroyed: its address may be used again.
  void forget(const ir::Value& value);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Sets dimensions of graph inputs (by input name or symbol name, as `--shape x=1,3,224,224` and `--dim batch=1` ask) and
// drops stale declarations of intermediate values so that they are inferred again. Raises usage for an unknown name or
// another rank.
void set_input_shape(ir::Model& model, std::string_view input, const ir::Shape& shape);
void set_symbol(ir::Model& model, std::string_view symbol, std::int64_t value);

}  // namespace hone::shapes
