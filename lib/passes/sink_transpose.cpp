// sink-transpose: Transposes move through operators that work element by element until they meet and cancel.
//   Transpose(f(g(Transpose(x)), c))  =  f(g(x), c')         where the permutations are each other's inverse
//   f(Transpose(x), Transpose(y))     =  Transpose(f(x, y))   the same permutation
//   Reduce(Transpose(x), axes)        =  Reduce(x, axes')     the order of what is left being kept
//   Concat(Transpose(x), Transpose(y))=  Transpose(Concat(x, y))
// A move is made only where it makes Transposes fewer.
//
// Left alone: values in between that anybody else sees; operands that would need a Transpose of their own, or are
// of another rank and not one number.
#include <algorithm>
#include <set>

#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

// Constants up to this many bytes are transposed here and now.
constexpr std::uint64_t kConstantLimit = 1 << 20;

bool is_one_number(const ir::Value& value) {
  if (!value.shape()) return false;
  return std::all_of(value.shape()->begin(), value.shape()->end(),
                     [](const ir::Dimension& dim) { return dim.number() == 1; });
}

// Inputs of an elementwise node that are parameters, not data.
bool is_parameter(const ir::Node& node, std::size_t input) { return node.is("Clip") && input > 0; }

// Everybody who uses the value is `node`.
bool only_user_is(const ir::Value& value, const ir::Node& node) {
  if (value.is_graph_output() || value.uses().empty()) return false;
  return std::all_of(value.uses().begin(), value.uses().end(), [&](const ir::Use& use) { return use.node == &node; });
}

// Nodes between a Transpose below and Transposes above.
struct Region {
  std::vector<ir::Node*> nodes;  // users before producers
  int saved = 0;                 // Transposes above that the one below cancels
};

bool grow(ir::Node& node, const Permutation& perm, Region& region) {
  if (region.nodes.size() > 64) return false;
  const auto& shape = node.output(0)->shape();
  if (!is_elementwise(node) || !shape || shape->size() != perm.size()) return false;
  region.nodes.push_back(&node);
  std::set<const ir::Value*> seen;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    ir::Value* value = node.input(i);
    if (!value || is_parameter(node, i) || !seen.insert(value).second || is_one_number(*value)) continue;
    if (!value->shape() || value->shape()->size() != perm.size()) return false;
    if (const ir::Tensor* constant = ir::constant(value)) {
      if (constant->byte_size() > kConstantLimit || constant->is_string()) return false;
      continue;
    }
    ir::Node* producer = value->producer();
    if (producer && producer->is("Transpose") && &producer->graph() == &node.graph()) {
      const auto above = permutation(*producer);
      if (!above) return false;
      if (*above != inverse(perm) || !only_user_is(*value, node)) return false;
      ++region.saved;
      continue;
    }
    if (producer && &producer->graph() == &node.graph() && only_user_is(*value, node) && is_elementwise(*producer)) {
      if (!grow(*producer, perm, region)) return false;
      continue;
    }
    return false;  // it would need a Transpose of its own
  }
  return true;
}

Status pull_up(ir::Node& transpose, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const auto perm = permutation(transpose);
  ir::Value* input = transpose.input(0);
  if (!perm || !input || !input->producer() || &input->producer()->graph() != &transpose.graph() ||
      !only_user_is(*input, transpose)) {
    return rewriter.decline(transpose, "no elementwise operator of its own before it");
  }
  Region region;
  if (!grow(*input->producer(), *perm, region) || region.saved <= 0) {
    return rewriter.decline(transpose, "moving it up saves nothing");
  }
  const std::set<const ir::Node*> inside(region.nodes.begin(), region.nodes.end());
  rewriter.together([&] {
    for (std::size_t n = region.nodes.size(); n-- > 0;) {
      ir::Node* node = region.nodes[n];
      for (std::size_t i = 0; i < node->input_count(); ++i) {
        ir::Value* value = node->input(i);
        if (!value || is_parameter(*node, i) || is_one_number(*value) || inside.contains(value->producer())) continue;
        if (value->producer() && value->producer()->is("Transpose") && !ir::constant(value)) {
          rewriter.set_input(*node, i, value->producer()->input(0));  // the inverse, as grow() saw
          continue;
        }
        ir::Node& moved = rewriter.add("Transpose", {value}, rewrite::attributes("perm", *perm), *node);
        rewriter.set_input(*node, i, moved.output(0));
      }
      rewriter.retype(*node);
    }
    (void)rewriter.replace(transpose, *input);
  });
  return Status::changed;
}

// The Transpose above, through operators of one data operand that nobody else sees.
ir::Node* above(ir::Value* value, const ir::Node* user, std::vector<ir::Node*>& path) {
  for (int step = 0; step < 16; ++step) {
    if (!value || !value->producer() || !only_user_is(*value, *user)) return nullptr;
    ir::Node& node = *value->producer();
    if (node.is("Transpose")) return ir::constant(node.input(0)) ? nullptr : &node;
    if (!is_elementwise(node)) return nullptr;
    ir::Value* data = nullptr;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      ir::Value* input = node.input(i);
      if (!input || is_parameter(node, i) || (is_one_number(*input) && ir::constant(input)) || input == data) continue;
      if (data) return nullptr;
      data = input;
    }
    path.push_back(&node);
    user = &node;
    value = data;
  }
  return nullptr;
}

// Two or more operands that all come out of the same permutation.
Status push_down(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  std::vector<ir::Node*> transposes, path;
  std::optional<Permutation> perm;
  std::set<const ir::Value*> seen;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    ir::Value* input = node.input(i);
    if (!input) return rewriter.decline(node, "an operand is left out");
    if (!node.is("Concat") && is_one_number(*input) && ir::constant(input)) continue;
    if (!seen.insert(input).second) continue;
    ir::Node* found = above(input, &node, path);
    if (!found || &found->graph() != &node.graph()) return rewriter.decline(node, "operands are not all transposed");
    const auto each = permutation(*found);
    if (!each || (perm && *perm != *each)) return rewriter.decline(node, "permutations differ");
    perm = each;
    transposes.push_back(found);
  }
  if (transposes.size() < 2) return rewriter.decline(node, "operands are not all transposed");
  std::int64_t axis = 0;
  if (node.is("Concat")) {
    axis = node.int_or("axis", 0);
    const auto rank = static_cast<std::int64_t>(perm->size());
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) return rewriter.decline(node, "axis out of range");
  }
  const std::set<ir::Node*> unique(transposes.begin(), transposes.end());
  rewriter.together([&] {
    for (ir::Node* transpose : unique) (void)rewriter.replace(*transpose, *transpose->input(0));
    for (ir::Node* each : path) rewriter.retype(*each);
    if (node.is("Concat")) rewriter.set_attribute(node, "axis", (*perm)[static_cast<std::size_t>(axis)]);
    // The result is made under a new name, so that the old value keeps its type and its users.
    ir::Value* result = node.output(0);
    ir::Node& moved = node.graph().insert("Transpose", {}, 1, node.next());
    moved.set_attribute("perm", *perm);
    rewriter.replace_value(*result, *moved.output(0));
    rewriter.retype(node);
    moved.set_input(0, result);
    rewriter.touched(moved);
  });
  return Status::changed;
}

Status through_reduce(ir::Node& reduce, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  ir::Node* transpose = rewrite::sole_producer(reduce.input(0), "Transpose");
  if (!transpose) return rewriter.decline(reduce, "no Transpose of its own before it");
  const auto perm = permutation(*transpose);
  const auto axes = reduced_axes(reduce);
  if (!perm || !axes) return rewriter.decline(reduce, "axes are not known");
  if (reduce.int_or("keepdims", 1) != 0) return rewriter.decline(reduce, "keeps its dimensions");
  std::vector<std::int64_t> moved;
  std::int64_t last = -1;
  for (std::size_t i = 0; i < perm->size(); ++i) {
    if (std::find(axes->begin(), axes->end(), static_cast<std::int64_t>(i)) != axes->end()) {
      moved.push_back((*perm)[i]);
    } else if ((*perm)[i] < last) {
      return rewriter.decline(reduce, "what is left is in another order");
    } else {
      last = (*perm)[i];
    }
  }
  std::sort(moved.begin(), moved.end());
  rewriter.together([&] {
    if (reduce.input(1)) {
      rewriter.set_input(reduce, 1, &rewriter.constant_ints(reduce, moved, reduce.input(1)->name()));
    } else if (reduce.has_attribute("axes")) {
      rewriter.set_attribute(reduce, "axes", std::move(moved));
    }
    rewriter.set_input(reduce, 0, transpose->input(0));
  });
  return Status::changed;
}

// Transpose(Unsqueeze(x)) that only moves the new dimensions is an Unsqueeze.
Status after_unsqueeze(ir::Node& transpose, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const ir::Node* unsqueeze = rewrite::sole_producer(transpose.input(0), "Unsqueeze");
  const auto perm = permutation(transpose);
  if (!unsqueeze || !perm) return Status::unchanged;
  auto axes = ints_of(*unsqueeze, "axes", 1);
  if (!axes) return Status::unchanged;
  for (std::int64_t& axis : *axes) axis += axis < 0 ? static_cast<std::int64_t>(perm->size()) : 0;
  std::vector<std::int64_t> moved;
  std::int64_t last = -1;
  for (std::size_t i = 0; i < perm->size(); ++i) {
    if (std::find(axes->begin(), axes->end(), (*perm)[i]) != axes->end()) {
      moved.push_back(static_cast<std::int64_t>(i));
    } else if ((*perm)[i] < last) {
      return Status::unchanged;
    } else {
      last = (*perm)[i];
    }
  }
  ir::Node* node = nullptr;
  if (rewriter.opset(transpose) >= 13) {
    node = &rewriter.add("Unsqueeze", {unsqueeze->input(0), &rewriter.constant_ints(transpose, moved, "axes")}, {},
                         transpose, unsqueeze);
  } else {
    node = &rewriter.add("Unsqueeze", {unsqueeze->input(0)}, rewrite::attributes("axes", moved), transpose, unsqueeze);
  }
  return rewriter.replace(transpose, *node->output(0));
}

}  // namespace

Status sink_transpose(ir::Node& node, PassContext& context) {
  if (context.rewriter.opset(node) < 7) return context.rewriter.decline(node, "opset without broadcasting");
  if (node.is("Transpose")) {
    if (after_unsqueeze(node, context) == Status::changed) return Status::changed;
    return pull_up(node, context);
  }
  if (node.op_type().starts_with("Reduce")) return through_reduce(node, context);
  return push_down(node, context);
}

}  // namespace hone::passes
