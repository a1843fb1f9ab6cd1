// Patterns that move elements (Reshape, Transpose, Slice ...) and compute shapes.
#include <algorithm>
#include <numeric>

#include "hone/support/error.h"
#include "more_patterns.h"

namespace hone::fuzz {
namespace {

using ir::Dims;
using ir::ElementType;

// A random factorization of x's elements; with 0 for a dimension that is copied and -1 for one.
Ints reshape_target(Builder& b, const Item& x) {
  std::int64_t count = x.sample.element_count();
  Ints target;
  if (count == 0) return x.dims();
  for (std::int64_t i = b.between(0, 3); i > 0 && count > 1; --i) {
    Ints divisors;
    for (std::int64_t d = 1; d <= std::min<std::int64_t>(count, 8); ++d) {
      if (count % d == 0) divisors.push_back(d);
    }
    target.push_back(b.one_of(divisors));
    count /= target.back();
  }
  if (count > 1 || (target.empty() && b.chance(0.5))) target.push_back(count);
  if (!target.empty() && b.chance(0.5)) std::swap(target.front(), target.back());
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (i < x.rank() && x.dim(i) == target[i] && b.chance(0.4)) target[i] = 0;
  }
  if (!target.empty() && b.chance(0.4))
    target[static_cast<std::size_t>(b.below(static_cast<std::int64_t>(target.size())))] = -1;
  return target;
}

Item rerank(Builder& b, const Item& x) {
  switch (b.below(4)) {
    case 0:
      return b.emit("Flatten", {x},
                    {{"axis", b.between(b.opset >= 11 ? -static_cast<std::int64_t>(x.rank()) : 0,
                                        static_cast<std::int64_t>(x.rank()))}});
    case 1: {
      Ints axes;
      for (std::size_t i = 0; i < x.rank(); ++i) {
        if (x.dim(i) == 1 && b.chance(0.7))
          axes.push_back(b.opset >= 11 && b.chance(0.3)
                             ? static_cast<std::int64_t>(i) - static_cast<std::int64_t>(x.rank())
                             : static_cast<std::int64_t>(i));
      }
      if (axes.empty()) return b.emit("Squeeze", {x});
      return b.squeeze(x, axes);
    }
    case 2: {
      const auto rank = static_cast<std::int64_t>(x.rank());
      Ints axes{b.opset >= 11 ? b.between(-rank - 1, rank) : b.between(0, rank)};
      if (axes[0] >= 0 && b.chance(0.2)) axes.push_back(axes[0] + 1);
      return b.unsqueeze(x, axes);
    }
    default:
      return b.reshape(x, reshape_target(b, x));
  }
}

void reshapes(Builder& b) {
  Item x = b.pick();
  for (std::int64_t i = b.between(1, 3); i > 0; --i) x = rerank(b, x);
}

void there_and_back(Builder& b) {
  const Item x = b.pick();
  Item y = rerank(b, x);
  if (b.chance(0.5)) y = b.emit(b.one_of<std::string>({"Relu", "Neg", "Sigmoid"}), {y});
  b.reshape(y, x.dims());
}

void reshape_transpose(Builder& b) {
  const Item x = b.pick();
  Item y = b.reshape(x, reshape_target(b, x));
  y = b.transpose(y, b.permutation(y.rank()));
  b.reshape(y, reshape_target(b, y));
}

void space_to_depth(Builder& b) {  // split two dimensions, move, merge: DepthToSpace, channel shuffle and the like
  const Item x = b.pick(4);
  const std::int64_t n = x.dim(0), c = x.dim(1), h = x.dim(2), w = x.dim(3);
  if (c % 2 == 0 && b.chance(0.5)) {
    Item y = b.reshape(x, {b.chance(0.5) ? n : -1, 2, c / 2, h, w});
    y = b.transpose(y, {0, 2, 1, 3, 4});
    b.reshape(y, {n, b.chance(0.5) ? c : -1, h, w});
  } else if (h % 2 == 0 && w % 2 == 0) {
    Item y = b.reshape(x, {n, c, h / 2, 2, w / 2, 2});
    y = b.transpose(y, {0, 1, 3, 5, 2, 4});
    b.reshape(y, {n, c * 4, h / 2, w / 2});
  } else {
    throw Rejected{};
  }
}

Ints inverse(const Ints& order) {
  Ints result(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    result[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
  return result;
}

void transposes(Builder& b) {
  Item x = b.pick(static_cast<int>(b.between(2, 4)));
  const Ints order = b.permutation(x.rank());
  x = b.transpose(x, order);
  bool same_rank = true;
  for (std::int64_t i = b.between(0, 3); i > 0; --i) {
    switch (b.below(7)) {
      case 0:
        x = b.emit(b.one_of<std::string>({"Relu", "Tanh", "Neg", "Identity"}), {x});
        break;
      case 1: {
        Dims dims = x.dims();
        for (auto& dim : dims) {
          if (b.chance(0.5)) dim = 1;
        }
        if (b.chance(0.3) && !dims.empty()) dims.erase(dims.begin());
        x = b.emit(b.one_of<std::string>({"Add", "Mul", "Sub", "Max", "Pow"}), {x, b.constant(b.floats(dims))});
        break;
      }
      case 2: {
        const Item other = b.pick(static_cast<int>(x.rank()));
        x = b.emit(b.one_of<std::string>({"Add", "Mul", "Min"}), {x, b.transpose(other, order)});
        break;
      }
      case 3: {
        if (x.rank() != order.size()) break;
        Ints axes{b.below(static_cast<std::int64_t>(x.rank()))};
        if (b.chance(0.3)) axes[0] -= static_cast<std::int64_t>(x.rank());
        const bool keep = b.chance(0.7);
        same_rank = same_rank && keep;
        x = b.reduce(b.one_of<std::string>({"ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2"}), x, axes, keep);
        break;
      }
      case 4: {
        std::vector<Item> inputs{x, b.chance(0.5) ? x : b.constant(b.floats(x.dims()))};
        x = b.emit("Concat", inputs, {{"axis", b.below(static_cast<std::int64_t>(x.rank()))}});
        break;
      }
      case 5:
        x = b.emit("Softmax", {x}, {{"axis", b.below(static_cast<std::int64_t>(x.rank()))}});
        break;
      default:
        x = b.clip(x, -1.0F, 1.0F);
        break;
    }
    if (x.rank() == 0) return;
  }
  if (b.chance(0.8))
    b.transpose(x, same_rank && x.rank() == order.size() && b.chance(0.8) ? inverse(order) : b.permutation(x.rank()));
}

void transpose_matmul(Builder& b) {
  const Item x = b.pick(static_cast<int>(b.between(2, 4)));
  const Item t = b.transpose(x, b.permutation(x.rank()));
  Item y = b.emit("MatMul", {t, b.constant(b.floats({t.dims().back(), b.between(1, 3)}))});
  if (b.chance(0.5)) b.transpose(y, b.permutation(y.rank()));
}

// Bounds of one axis, in every spelling.
void slice_bounds(Builder& b, std::int64_t size, std::int64_t& start, std::int64_t& end, std::int64_t& step) {
  step = b.one_of<std::int64_t>({1, 1, 1, 2, -1, -2, 3});
  start = b.between(-size - 1, size);
  end = b.one_of<std::int64_t>(
      {b.between(-size - 1, size + 1), INT64_MAX, INT64_MIN, size, b.between(0, size), INT32_MAX});
  if (b.chance(0.3)) {
    step = 1;
    start = 0;
    end = b.one_of<std::int64_t>({size, INT64_MAX, size - 1});
  }
}

void slices(Builder& b) {
  Item x = b.pick();
  for (std::int64_t i = b.between(1, 3); i > 0 && x.rank() > 0; --i) {
    Ints starts, ends, axes, steps;
    const std::int64_t count = b.chance(0.7) ? 1 : std::min<std::int64_t>(2, static_cast<std::int64_t>(x.rank()));
    const Ints order = b.permutation(x.rank());
    for (std::int64_t k = 0; k < count; ++k) {
      const std::int64_t axis = order[static_cast<std::size_t>(k)];
      std::int64_t start = 0, end = 0, step = 1;
      slice_bounds(b, x.dim(static_cast<std::size_t>(axis)), start, end, step);
      starts.push_back(start);
      ends.push_back(end);
      steps.push_back(step);
      axes.push_back(b.opset >= 11 && b.chance(0.3) ? axis - static_cast<std::int64_t>(x.rank()) : axis);
    }
    x = b.slice(x, starts, ends, axes, steps);
  }
}

void pieces(Builder& b) {  // Slices or Split of one value, put together again or not
  const Item x = b.pick();
  if (x.rank() == 0) throw Rejected{};
  const std::int64_t axis = b.below(static_cast<std::int64_t>(x.rank())), size = x.dim(static_cast<std::size_t>(axis));
  if (size < 2) throw Rejected{};
  const std::int64_t cut = b.between(1, size - 1);
  std::vector<Item> parts;
  if (b.chance(0.5)) {
    const bool three = cut > 1 && b.chance(0.3);
    Ints bounds{0, cut, size};
    if (three) bounds.insert(bounds.begin() + 1, 1);
    if (b.chance(0.15)) bounds[1] = std::max<std::int64_t>(0, bounds[1] - 1);
    for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
      std::int64_t start = bounds[i];
      const std::int64_t end = i + 2 == bounds.size() && b.chance(0.5) ? INT64_MAX : bounds[i + 1];
      if (start > 0 && b.chance(0.2)) start -= size;
      parts.push_back(b.slice(x, {start}, {end}, {axis}, {1}));
    }
  } else {
    const bool even = size % 2 == 0 && b.chance(0.5);
    parts = b.split(x, even ? Ints{size / 2, size / 2} : Ints{cut, size - cut}, axis);
  }
  if (b.chance(0.3)) parts[0] = b.emit("Relu", {parts[0]});
  if (b.chance(0.2)) std::reverse(parts.begin(), parts.end());
  if (b.chance(0.15)) parts.pop_back();
  if (b.chance(0.1)) parts.push_back(parts[0]);
  if (b.chance(0.8)) b.emit("Concat", parts, {{"axis", b.chance(0.9) ? axis : 0}});
}

void concat(Builder& b) {
  const Item x = b.pick();
  if (x.rank() == 0) throw Rejected{};
  std::vector<Item> inputs{x};
  for (std::int64_t i = b.between(0, 2); i > 0; --i) {
    Dims dims = x.dims();
    if (b.chance(0.1)) dims[0] = 0;
    inputs.push_back(b.chance(0.4) ? x : b.constant(b.floats(dims)));
  }
  std::int64_t axis = b.below(static_cast<std::int64_t>(x.rank()));
  const Item y = b.emit("Concat", inputs, {{"axis", axis}});
  if (b.chance(0.4)) {
    Ints sizes;
    for (const Item& each : inputs) sizes.push_back(each.dim(static_cast<std::size_t>(axis)));
    b.split(y, sizes, axis);
  }
  if (b.chance(0.2)) b.emit("Concat", {y, x}, {{"axis", axis}});
}

void expand(Builder& b) {
  const Item x = b.pick();
  Ints shape = x.dims();
  for (auto& dim : shape) {
    if (dim == 1 && b.chance(0.6))
      dim = b.between(1, 3);
    else if (b.chance(0.3))
      dim = 1;
  }
  if (b.chance(0.2)) shape.insert(shape.begin(), b.between(1, 2));
  const Item y = b.emit("Expand", {x, b.ints(shape)});
  switch (b.below(4)) {
    case 0:
      b.emit(b.one_of<std::string>({"Add", "Mul", "Sub"}),
             {y, b.constant(b.floats(b.chance(0.6) ? y.dims() : Dims{}))});
      break;
    case 1: {
      const auto other = b.find([&](const Item& item) { return item.is_float() && item.dims() == y.dims(); });
      b.emit("Mul", {other ? *other : y, y});
      break;
    }
    case 2:
      b.emit("Tile", {y, b.ints(Ints(y.rank(), b.chance(0.5) ? 1 : 2))});
      break;
    default:
      break;
  }
}

void einsum(Builder& b) {
  if (b.opset < 12) throw Rejected{};
  struct Form {
    const char* equation;
    std::vector<const char*> operands;
  };
  static const std::vector<Form> forms = {
      {"bij,bjk->bik", {"bij", "bjk"}},      {"ij,jk->ik", {"ij", "jk"}}, {"ij->ji", {"ij"}},
      {"bhid,bhjd->bhij", {"bhid", "bhjd"}}, {"ij,kj->ik", {"ij", "kj"}}, {"ii->i", {"ii"}},
      {"ij,ij->ij", {"ij", "ij"}},           {"ij->i", {"ij"}},           {"i,j->ij", {"i", "j"}},
      {"bij,jk->bik", {"bij", "jk"}},        {"ijk->kij", {"ijk"}},       {"ij,jk", {"ij", "jk"}},
      {"bij,bjk->bki", {"bij", "bjk"}},      {"...ij->...ji", {"ij"}},    {" ij , jk -> ik ", {"ij", "jk"}}};
  const Form& form = b.one_of(forms);
  std::map<char, std::int64_t> sizes;
  std::vector<Item> inputs;
  for (const char* operand : form.operands) {
    const std::string letters = operand;
    std::optional<Item> found;
    if (inputs.empty()) found = b.pick(static_cast<int>(letters.size()));
    if (found) {
      for (std::size_t i = 0; i < letters.size(); ++i) sizes[letters[i]] = found->dim(i);
    } else {
      Dims dims;
      for (const char letter : letters) dims.push_back(sizes.try_emplace(letter, b.between(1, 3)).first->second);
      found = b.constant(b.floats(dims));
    }
    inputs.push_back(*found);
  }
  b.emit("Einsum", inputs, {{"equation", std::string(form.equation)}});
}

void shape_arithmetic(Builder& b) {
  const Item x = b.pick(static_cast<int>(b.between(1, 4)));
  const auto rank = static_cast<std::int64_t>(x.rank());
  const Item shape = b.emit("Shape", {x});
  const auto dimension = [&](std::int64_t axis) {
    if (b.chance(0.5)) return b.emit("Gather", {shape, b.ints({axis})});
    if (b.chance(0.3)) return b.slice(shape, {axis}, {axis + 1}, {0}, {1});
    return b.unsqueeze(b.emit("Gather", {shape, b.constant(ir::Tensor::scalar<std::int64_t>(axis))}), {0});
  };
  switch (b.below(6)) {
    case 0: {  // keep some, merge the rest
      std::vector<Item> parts{dimension(0), b.ints({-1})};
      if (rank > 1 && b.chance(0.4)) parts.insert(parts.begin() + 1, dimension(1));
      b.emit("Reshape", {x, b.emit("Concat", parts, {{"axis", std::int64_t{0}}})});
      break;
    }
    case 1: {
      Item product = b.emit("Mul", {dimension(0), dimension(rank - 1)});
      if (rank > 2)
        b.emit("Reshape", {x, b.emit("Concat", {product, b.ints({-1})}, {{"axis", std::int64_t{0}}})});
      else
        b.emit("Reshape", {x, b.chance(0.5) ? product : b.ints({-1})});
      break;
    }
    case 2:
      b.emit("ConstantOfShape", {b.chance(0.5) ? shape : dimension(0)},
             b.chance(0.5) ? std::vector<Named>{{"value", b.number(b.one_of<float>({0, 1, 2}), {1})}}
                           : std::vector<Named>{});
      break;
    case 3:
      b.emit("Expand", {b.constant(b.floats(b.one_of<Dims>({{}, {1}, {x.dims().back()}}))), shape});
      break;
    case 4: {
      const Item half = b.emit("Div", {dimension(0), b.ints({2})});
      if (b.opset >= 10)
        b.emit("Slice", {x, b.chance(0.5) ? half : b.ints({0}), b.chance(0.5) ? half : dimension(0), b.ints({0})});
      break;
    }
    default: {
      const Item count = b.either(
          b.chance(0.5), [&] { return b.emit("Size", {x}); }, [&] { return b.squeeze(dimension(0), {0}); });
      if (b.opset >= 11) {
        const Item range = b.emit("Range", {b.constant(ir::Tensor::scalar<std::int64_t>(0)), count,
                                            b.constant(ir::Tensor::scalar<std::int64_t>(1))});
        b.cast(range, ElementType::float32);
      }
      break;
    }
  }
}

void same_shape(Builder& b) {  // a shape computed only to give what is there already
  const Item x = b.pick();
  const Item y = b.emit(b.one_of<std::string>({"Relu", "Neg"}), {x});
  const Item shape = b.emit("Shape", {b.chance(0.5) ? x : y});
  b.emit(b.one_of<std::string>({"Reshape", "Expand"}), {y, shape});
}

void reductions(Builder& b) {
  const Item x = b.pick();
  static const std::vector<std::string> ops = {"ReduceMean", "ReduceSum",       "ReduceMax",
                                               "ReduceMin",  "ReduceProd",      "ReduceL1",
                                               "ReduceL2",   "ReduceSumSquare", "ReduceLogSumExp"};
  Ints axes;
  for (std::size_t i = 0; i < x.rank(); ++i) {
    if (b.chance(0.4))
      axes.push_back(b.opset >= 11 && b.chance(0.3) ? static_cast<std::int64_t>(i) - static_cast<std::int64_t>(x.rank())
                                                    : static_cast<std::int64_t>(i));
  }
  const Item y = b.reduce(b.one_of(ops), x, axes, b.chance(0.6));
  if (b.chance(0.2)) b.reduce(b.one_of(ops), y, {}, b.chance(0.5));
}

void gather(Builder& b) {
  const Item x = b.pick();
  if (x.rank() == 0) throw Rejected{};
  const std::int64_t axis = b.below(static_cast<std::int64_t>(x.rank())), size = x.dim(static_cast<std::size_t>(axis));
  if (size == 0) throw Rejected{};
  Ints indices;
  for (std::int64_t i = b.between(1, 3); i > 0; --i) indices.push_back(b.between(b.opset >= 11 ? -size : 0, size - 1));
  if (b.chance(0.3)) {
    b.emit("Gather", {x, b.constant(ir::Tensor::scalar<std::int64_t>(indices[0]))}, {{"axis", axis}});
  } else {
    b.emit("Gather", {x, b.ints(indices)}, {{"axis", axis}});
  }
}

void various(Builder& b) {
  const Item x = b.pick(static_cast<int>(b.between(1, 4)));
  const auto last = static_cast<std::int64_t>(x.rank()) - 1;
  switch (b.below(8)) {
    case 0:
      b.emit_all("TopK", {x, b.ints({1})}, {{"axis", std::int64_t{-1}}}, 2);
      break;
    case 1:
      b.emit("CumSum", {x, b.constant(ir::Tensor::scalar<std::int64_t>(b.below(last + 1)))}, {{"reverse", b.below(2)}});
      break;
    case 2:
      if (x.rank() != 4) throw Rejected{};
      b.emit(x.dim(1) % 4 == 0 && b.chance(0.5) ? "DepthToSpace" : "SpaceToDepth", {x},
             {{"blocksize", std::int64_t{2}}});
      break;
    case 3: {
      if (b.opset < 13) throw Rejected{};
      std::vector<Item> inputs{
          x, {}, b.constant(ir::Tensor::vector(std::vector<float>(x.rank(), b.one_of<float>({1, 2}))))};
      b.emit("Resize", inputs, {{"mode", std::string("nearest")}});
      break;
    }
    case 4: {
      const Item nonzero = b.emit("NonZero", {x});
      b.cast(nonzero, ElementType::float32);
      break;
    }
    case 5:
      if (b.opset < 14 || x.rank() < 2) throw Rejected{};
      b.emit("Trilu", {x}, {{"upper", b.below(2)}});
      break;
    case 6:
      b.emit("Tile", {x, b.ints(Ints(x.rank(), 1))});
      break;
    default: {
      Ints pads(2 * x.rank());
      for (auto& each : pads) each = b.chance(0.7) ? 0 : b.one_of<std::int64_t>({1, 1, -1});
      b.pad(x, pads, b.one_of<std::string>({"constant", "reflect", "edge"}), b.one_of<float>({0, 1}));
      break;
    }
  }
}

}  // namespace

std::vector<Pattern> movement_patterns() {
  return {{"reshapes", reshapes, 5},
          {"there-and-back", there_and_back, 3},
          {"reshape-transpose", reshape_transpose, 2},
          {"space-to-depth", space_to_depth, 2},
          {"transposes", transposes, 6},
          {"transpose-matmul", transpose_matmul},
          {"slices", slices, 4},
          {"pieces", pieces, 4},
          {"concat", concat, 3},
          {"expand", expand, 4},
          {"einsum", einsum},
          {"shape-arithmetic", shape_arithmetic, 5},
          {"same-shape", same_shape},
          {"reductions", reductions, 3},
          {"gather", gather, 2},
          {"various", various, 3}};
}

}  // namespace hone::fuzz
