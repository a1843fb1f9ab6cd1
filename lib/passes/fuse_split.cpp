// fuse-split: Slices that cut one value along one axis into pieces that cover it, in order and without a gap, become one
// Split: rotary embeddings and gated units are exported so.
//
// Left alone: a value with any other user; pieces that overlap or leave something out; steps other than 1; an axis whose
// size is no number; opsets before 13.
#include <algorithm>

#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

struct Piece {
  ir::Node* slice;
  std::int64_t start, end;
};

}  // namespace

Status fuse_split(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  ir::Value* value = node.input(0);
  if (rewriter.opset(node) < 13) return rewriter.decline(node, "opset before 13");
  if (!value || !value->shape() || value->is_graph_output() || value->uses().size() < 2) {
    return rewriter.decline(node, "nobody else cuts the value");
  }
  std::vector<Piece> pieces;
  std::optional<std::int64_t> axis;
  std::int64_t size = 0;
  for (const ir::Use& use : value->uses()) {
    ir::Node& slice = *use.node;
    if (!slice.is("Slice") || use.index != 0 || &slice.graph() != &node.graph()) {
      return rewriter.decline(node, "the value has other users");
    }
    const auto starts = ir::constant_ints(slice.input(1)), ends = ir::constant_ints(slice.input(2)),
               axes = ir::constant_ints(slice.input(3));
    if (!starts || !ends || !axes || starts->size() != 1 || ends->size() != 1 || axes->size() != 1 ||
        (slice.input(4) && !is_splat(slice.input(4), 1))) {
      return rewriter.decline(node, "bounds are not constant or cut several axes");
    }
    const auto rank = static_cast<std::int64_t>(value->shape()->size());
    const std::int64_t along = axes->front() < 0 ? axes->front() + rank : axes->front();
    if (along < 0 || along >= rank || (axis && *axis != along)) return rewriter.decline(node, "pieces of several axes");
    axis = along;
    const auto number = (*value->shape())[static_cast<std::size_t>(along)].number();
    if (!number) return rewriter.decline(node, "size of the axis is no number");
    size = *number;
    const auto clamp = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size); };
    pieces.push_back({&slice, clamp(starts->front()), clamp(ends->front())});
  }
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.start < b.start; });
  std::vector<std::int64_t> sizes;
  std::int64_t next = 0;
  for (const Piece& piece : pieces) {
    if (piece.start != next || piece.end <= piece.start) return rewriter.decline(node, "pieces overlap or leave a gap");
    sizes.push_back(piece.end - piece.start);
    next = piece.end;
  }
  if (next != size) return rewriter.decline(node, "pieces overlap or leave a gap");
  ir::Node* first = pieces[0].slice;
  for (const Piece& piece : pieces) {
    if (piece.slice->is_before(*first)) first = piece.slice;
  }
  ir::Value& lengths = rewriter.constant_ints(*first, sizes, value->name() + "_split");
  ir::Node& split =
      rewriter.add("Split", {value, &lengths}, rewrite::attributes("axis", *axis), *first, first, sizes.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) (void)rewriter.replace(*pieces[i].slice, *split.output(i));
  return Status::changed;
}

}  // namespace hone::passes
