// Any value a graph can take or give at run time: a tensor, a sequence, an optional or a map.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "hone/ir/tensor.h"
#include "hone/ir/type.h"

namespace hone::ir {

struct Datum;

struct Sequence {
  Type element;  // kind unknown where the producer did not say (an empty sequence read from a file)
  std::vector<Datum> items;
};
struct Optional {
  std::shared_ptr<const Datum> value;  // null: empty
};
struct Map {
  Tensor keys;                // 1-D, integers or strings
  std::vector<Datum> values;  // as many
};

struct Datum {
  std::variant<Tensor, std::shared_ptr<const Sequence>, Optional, std::shared_ptr<const Map>> value;

  Datum() = default;
  Datum(Tensor tensor) : value(std::move(tensor)) {}  // NOLINT: implicit by design
  Datum(Sequence sequence) : value(std::make_shared<const Sequence>(std::move(sequence))) {}  // NOLINT
  Datum(Optional optional) : value(std::move(optional)) {}                                    // NOLINT
  Datum(Map map) : value(std::make_shared<const Map>(std::move(map))) {}                      // NOLINT

  const Tensor* tensor() const { return std::get_if<Tensor>(&value); }
  const Sequence* sequence() const {
    const auto* p = std::get_if<std::shared_ptr<const Sequence>>(&value);
    return p ? p->get() : nullptr;
  }
  const Optional* optional() const { return std::get_if<Optional>(&value); }
  const Map* map() const {
    const auto* p = std::get_if<std::shared_ptr<const Map>>(&value);
    return p ? p->get() : nullptr;
  }
};

// A value with the name of the graph input or output, or array, that it belongs to.
struct NamedDatum {
  std::string name;
  Datum datum;
};

}  // namespace hone::ir
