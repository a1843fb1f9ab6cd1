// recognize-rotary-embedding: x cos + turned(x) sin becomes RotaryEmbedding (opset 23), where turned(x) is
// Concat(-second half, first half) of the last dimension, x is [batch, heads, length, size], and cosines and sines have equal
// halves: constants that do, or what is computed one by one from Concat(f, f). They are then computed from f alone, once for
// all layers.
// ONNX Runtime's kernel takes them for every sample: those of one batch are widened.
// Where only the first places of each head are turned, the Concat with the others becomes part of it (rotary_embedding_dim).
//
// Left alone: x that is turned in pairs of neighbours; cosines by head; types other than float32.
#include <algorithm>

#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

// Whether value is elements [begin, end) of the last dimension of x.
bool is_part(const ir::Value* value, const ir::Value* x, std::int64_t begin, std::int64_t end) {
  const ir::Node* node = value ? value->producer() : nullptr;
  if (!node || node->input(0) != x) return false;
  const auto rank = static_cast<std::int64_t>(x->shape()->size());
  const std::int64_t size = *x->shape()->back().number();
  if (node->is("Split")) {
    const std::int64_t axis = node->int_or("axis", 0);
    if (axis != -1 && axis != rank - 1) return false;
    if (!value->shape() || value->shape()->back().number() != end - begin || node->output_count() != 2) return false;
    return value->output_index() == (begin == 0 ? 0u : 1u);
  }
  if (!node->is("Slice")) return false;
  const auto starts = ir::constant_ints(node->input(1)), ends = ir::constant_ints(node->input(2));
  const auto axes = ir::constant_ints(node->input(3));
  if (!starts || !ends || !axes || starts->size() != 1 || ends->size() != 1 || axes->size() != 1) return false;
  if (node->input(4) && ir::constant_ints(node->input(4)) != std::vector<std::int64_t>{1}) return false;
  const auto place = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size); };
  return ((*axes)[0] == -1 || (*axes)[0] == rank - 1) && place((*starts)[0]) == begin && place((*ends)[0]) == end;
}

bool is_turned(const ir::Value* value, const ir::Value* x) {
  const ir::Node* concat = rewrite::sole_producer(value, "Concat");
  if (!concat || concat->input_count() != 2) return false;
  const auto rank = static_cast<std::int64_t>(x->shape()->size());
  const std::int64_t axis = concat->int_or("axis", 0), size = *x->shape()->back().number();
  const ir::Node* negative = rewrite::sole_producer(concat->input(0), "Neg");
  return (axis == -1 || axis == rank - 1) && negative && is_part(negative->input(0), x, size / 2, size) &&
         is_part(concat->input(1), x, 0, size / 2);
}

// What makes cosines or sines: the steps from what is repeated to the whole, last one first.
struct Waves {
  const ir::Tensor* constant = nullptr;
  std::vector<const ir::Node*> steps;
  ir::Value* half = nullptr;
  ir::Dimension batch;
};

bool has_equal_halves(const ir::Tensor& tensor) {
  constexpr std::int64_t kLargest = 1 << 22;
  const std::int64_t size = tensor.dims().back(), half = size / 2;
  if (tensor.element_count() > kLargest || size == 0) return false;
  const std::vector<float> values = tensor.to_floats();
  for (std::size_t row = 0; row < values.size(); row += static_cast<std::size_t>(size)) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row);
    if (!std::equal(begin, begin + half, begin + half)) return false;
  }
  return true;
}

// Of a factor [batch or 1, 1, length, size] of x.
std::optional<Waves> waves(ir::Value* factor, const ir::Shape& x) {
  const auto& shape = factor->shape();
  if (!shape || shape->size() != 4 || (*shape)[1].number() != 1 || !provably_equal((*shape)[2], x[2]) ||
      !provably_equal((*shape)[3], x[3])) {
    return std::nullopt;
  }
  Waves found;
  found.batch = (*shape)[0];
  if (found.batch.number() != 1 && !provably_equal(found.batch, x[0])) return std::nullopt;
  if (const ir::Tensor* tensor = ir::constant(factor)) {
    if (!has_equal_halves(*tensor)) return std::nullopt;
    found.constant = tensor;
    return found;
  }
  bool unsqueezed = false;
  ir::Value* at = factor;
  constexpr int kMostSteps = 8;
  for (int step = 0; step < kMostSteps; ++step) {
    const ir::Node* node = at->producer();
    if (!node) return std::nullopt;
    if (node->is("Concat")) {
      const auto rank = at->shape() ? static_cast<std::int64_t>(at->shape()->size()) : 0;
      const std::int64_t axis = node->int_or("axis", 0);
      if (!unsqueezed || rank != 3 || (axis != -1 && axis != 2) || node->input_count() != 2 ||
          node->input(0) != node->input(1)) {
        return std::nullopt;
      }
      found.half = node->input(0);
      return found;
    }
    if (node->is("Unsqueeze")) {
      const auto axes = ir::constant_ints(node->input(1));
      if (unsqueezed || axes != std::vector<std::int64_t>{1} || !at->shape() || at->shape()->size() != 4) {
        return std::nullopt;
      }
      unsqueezed = true;
      at = node->input(0);
      continue;
    }
    if (node->is("Cos") || node->is("Sin") || node->is("Cast")) {
      found.steps.push_back(node);
      at = node->input(0);
      continue;
    }
    if (node->is("Mul") || node->is("Div")) {
      const std::size_t number = ir::constant_scalar(node->input(1)) ? 1 : 0;
      if (!ir::constant_scalar(node->input(number)) || (number == 0 && node->is("Div"))) return std::nullopt;
      if (!same_shape(node->input(1 - number), at)) return std::nullopt;
      found.steps.push_back(node);
      at = node->input(1 - number);
      continue;
    }
    return std::nullopt;
  }
  return std::nullopt;
}

struct Bindings {
  ir::Value* x;
  Waves cosines, sines;
};

Match<Bindings> match(const ir::Node& add) {
  if (add.output(0)->element_type() != ir::ElementType::float32) return no("element type");
  for (std::size_t i = 0; i < 2; ++i) {
    const ir::Node* straight = rewrite::sole_producer(add.input(i), "Mul");
    const ir::Node* turned = rewrite::sole_producer(add.input(1 - i), "Mul");
    if (!straight || !turned) return no("no sum of products");
    for (std::size_t j = 0; j < 4; ++j) {
      ir::Value *x = straight->input(j & 1), *rotated = turned->input(j >> 1);
      if (!x->shape() || x->shape()->size() != 4 || !x->shape()->back().number()) continue;
      const std::int64_t size = *x->shape()->back().number();
      if (size % 2 != 0 || size == 0 || !same_shape(x, add.output(0)) || !is_turned(rotated, x)) continue;
      auto cosines = waves(straight->input(1 - (j & 1)), *x->shape());
      auto sines = waves(turned->input(1 - (j >> 1)), *x->shape());
      if (!cosines || !sines) return no("cosines and sines are not known to have equal halves");
      return Bindings{x, std::move(*cosines), std::move(*sines)};
    }
  }
  return no("no value that is turned");
}

// The first half, [batch of x, length, size / 2].
ir::Value* halved(rewrite::Rewriter& rewriter, const Waves& found, ir::Value* x, ir::Node& before) {
  ir::Value* half = found.half;
  if (found.constant) {
    const auto size = static_cast<std::size_t>(found.constant->dims().back());
    const std::vector<float> values = found.constant->to_floats();
    std::vector<float> kept;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i % size < size / 2) kept.push_back(values[i]);
    }
    const ir::Dims& dims = found.constant->dims();
    half = &rewriter.constant(before, ir::Tensor::of<float>({dims[0], dims[2], dims[3] / 2}, kept), "waves");
  }
  for (auto step = found.steps.rbegin(); step != found.steps.rend(); ++step) {
    const ir::Node& node = **step;
    std::vector<ir::Value*> inputs{half};
    if (node.is("Mul") || node.is("Div")) {
      inputs.push_back(ir::constant_scalar(node.input(1)) ? node.input(1) : node.input(0));
    }
    rewrite::Attributes attributes;
    if (node.is("Cast")) attributes.emplace_back("to", node.int_or("to", 1));
    half = rewriter.add(node.op_type(), inputs, std::move(attributes), before).output(0);
  }
  const ir::Dimension& batch = (*x->shape())[0];
  if (provably_equal(found.batch, batch)) return half;
  ir::Value* target = nullptr;
  if (batch.number()) {
    target = &rewriter.constant_ints(before, {*batch.number(), 1, 1}, "batch");
  } else {
    ir::Node& size =
        rewriter.add("Shape", {x}, rewrite::attributes("start", std::int64_t{0}, "end", std::int64_t{1}), before);
    ir::Value& ones = rewriter.constant_ints(before, {1, 1}, "ones");
    target =
        rewriter.add("Concat", {size.output(0), &ones}, rewrite::attributes("axis", std::int64_t{0}), before).output(0);
  }
  return rewriter.add("Expand", {half, target}, {}, before).output(0);
}

// Concat(RotaryEmbedding(first places of x), the others of x).
Status turned_in_part(ir::Node& concat, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const ir::Node* turned = rewrite::sole_producer(concat.input(0), "RotaryEmbedding");
  if (!turned || concat.input_count() != 2 || turned->input(3))
    return rewriter.decline(concat, "no heads that are turned");
  const ir::Value *part = turned->input(0), *rest = concat.input(1);
  const ir::Node* cut = part->producer();
  ir::Value* x = cut ? cut->input(0) : nullptr;
  const std::int64_t axis = concat.int_or("axis", 0);
  if (!x || !x->shape() || x->shape()->size() != 4 || !x->shape()->back().number() || (axis != -1 && axis != 3) ||
      turned->int_or("rotary_embedding_dim", 0) != 0) {
    return rewriter.decline(concat, "no heads that are turned");
  }
  const auto width = part->shape() ? part->shape()->back().number() : std::nullopt;
  if (!width || !is_part(part, x, 0, *width) || !is_part(rest, x, *width, *x->shape()->back().number()))
    return rewriter.decline(concat, "not the first places of heads, and the others");
  rewrite::Attributes attributes = rewrite::attributes("rotary_embedding_dim", *width);
  if (turned->int_or("interleaved", 0) != 0) attributes.emplace_back("interleaved", std::int64_t{1});
  if (const auto heads = (*x->shape())[1].number()) attributes.emplace_back("num_heads", *heads);
  ir::Node& fused =
      rewriter.add("RotaryEmbedding", {x, turned->input(1), turned->input(2)}, std::move(attributes), concat, turned);
  return rewriter.replace(concat, *fused.output(0));
}

}  // namespace

Status recognize_rotary_embedding(ir::Node& add, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (rewriter.opset(add) < 23) return rewriter.decline(add, "opset before 23");
  if (add.is("Concat")) return turned_in_part(add, context);
  const auto found = match(add);
  if (!found) return rewriter.decline(add, found.reason());
  ir::Value* cosines = halved(rewriter, found->cosines, found->x, add);
  ir::Value* sines = halved(rewriter, found->sines, found->x, add);
  ir::Node& fused = rewriter.add("RotaryEmbedding", {found->x, cosines, sines}, {}, add, &add);
  return rewriter.replace(add, *fused.output(0));
}

}  // namespace hone::passes
