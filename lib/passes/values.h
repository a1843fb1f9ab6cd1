// Questions that several passes ask of values and nodes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "hone/ir/graph.h"

namespace hone::passes {

// The one number that every element of a value is: of a constant of up to 65,536 elements, or of one made from such a
// constant or ConstantOfShape by operators that only move elements. NaN is never an answer.
std::optional<double> splat(const ir::Value* value);
bool is_splat(const ir::Value* value, double number, double tolerance = 0);

using Permutation = std::vector<std::int64_t>;
// Of a Transpose; nullopt where it has none and the rank is unknown, or where it is no permutation.
std::optional<Permutation> permutation(const ir::Node& transpose);
bool is_identity(const Permutation& perm);
Permutation inverse(const Permutation& perm);

// An operator of ONNX that computes each element of its one result from the elements at the same place, broadcast.
bool is_elementwise(const ir::Node& node);
// Expand, Slice, Transpose and others whose result has elements of their first input, in one result or several.
bool moves_elements(const ir::Node& node);

// Reshape, Flatten, Squeeze, Unsqueeze: the same elements in the same order.
bool regroups(const ir::Node& node);
// A Squeeze that takes whatever dimensions are 1, of unknown ones: each run may give another rank, whatever is declared.
bool removes_any_ones(const ir::Node& node);

// Both shapes known and provably the same.
bool same_shape(const ir::Value* a, const ir::Value* b);

// Axes of a Reduce operator, from its attribute or input, in [0, rank), sorted; nullopt where they are not known. All axes
// where the node names none.
std::optional<std::vector<std::int64_t>> reduced_axes(const ir::Node& reduce);

// Constant numbers given by an attribute in older opsets and an input in newer ones. nullopt: absent or not constant.
std::optional<std::vector<std::int64_t>> ints_of(const ir::Node& node, const char* attribute, std::size_t input);

// A constant target that makes Reshape take `from` to `to`: numbers, copies (0) and at most one -1.
std::optional<std::vector<std::int64_t>> reshape_target(const ir::Shape& from, const ir::Shape& to);

// Whether `node` is of the main graph or one of its subgraphs, not of a function body.
bool in_main_graph(const ir::Node& node, const ir::Graph& main);

}  // namespace hone::passes
