// eliminate-pad: a Pad by nothing goes; zeros around the spatial dimensions move into the Conv or the AveragePool that reads
// them (which then counts the padding).
//
// Left alone:
//  1. modes other than constant, values other than 0, negative pads, pads of batch or channels;
//  2. MaxPool: its own padding is -inf, not 0; a padded value that anybody else sees;
//  3. auto_pad other than NOTSET; ceil_mode; an AveragePool that pads itself without counting; Pad before opset 11.
#include <algorithm>

#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {

Status eliminate_pad(ir::Node& pad, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (rewriter.opset(pad) < 11) return rewriter.decline(pad, "pads are attributes");
  ir::Value* input = pad.input(0);
  const auto given = ir::constant_ints(pad.input(1));
  if (!input || !given || !input->shape()) return rewriter.decline(pad, "pads are not constant");
  if (std::all_of(given->begin(), given->end(), [](std::int64_t each) { return each == 0; })) {
    return rewriter.replace(pad, *input);
  }
  const auto rank = static_cast<std::int64_t>(input->shape()->size());
  std::vector<std::int64_t> begins(static_cast<std::size_t>(rank)), ends(begins);
  std::vector<std::int64_t> axes;
  if (pad.input(3)) {
    const auto named = ir::constant_ints(pad.input(3));
    if (!named) return rewriter.decline(pad, "axes are not constant");
    axes = *named;
  } else {
    for (std::int64_t i = 0; i < rank; ++i) axes.push_back(i);
  }
  if (given->size() != 2 * axes.size()) return rewriter.decline(pad, "pads don't fit the rank");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (axis < 0 || axis >= rank) return rewriter.decline(pad, "axis out of range");
    begins[static_cast<std::size_t>(axis)] = (*given)[i];
    ends[static_cast<std::size_t>(axis)] = (*given)[i + axes.size()];
  }
  if (pad.string_or("mode", "constant") != "constant" || (pad.input(2) && !is_splat(pad.input(2), 0))) {
    return rewriter.decline(pad, "not padded with 0");
  }
  for (std::size_t i = 0; i < begins.size(); ++i) {
    if (begins[i] < 0 || ends[i] < 0 || (i < 2 && (begins[i] != 0 || ends[i] != 0))) {
      return rewriter.decline(pad, "pads of batch or channels, or negative ones");
    }
  }
  const ir::Use* use = pad.output(0)->only_use();
  if (!use || use->index != 0 || &use->node->graph() != &pad.graph()) {
    return rewriter.decline(pad, "somebody else sees the padded value");
  }
  ir::Node& user = *use->node;
  const bool pools = user.is("AveragePool");
  if (!user.is("Conv") && !pools) return rewriter.decline(pad, "not read by Conv or AveragePool");
  if (user.string_or("auto_pad", "NOTSET") != "NOTSET") return rewriter.decline(pad, "auto_pad");
  const auto spatial = static_cast<std::size_t>(rank - 2);
  std::vector<std::int64_t> pads = user.ints_or("pads", std::vector<std::int64_t>(2 * spatial));
  if (pads.size() != 2 * spatial) return rewriter.decline(pad, "pads don't fit the rank");
  if (pools) {
    const bool pads_itself = std::any_of(pads.begin(), pads.end(), [](std::int64_t each) { return each != 0; });
    if (pads_itself && user.int_or("count_include_pad", 0) == 0) return rewriter.decline(pad, "pools without counting");
    if (user.int_or("ceil_mode", 0) != 0) return rewriter.decline(pad, "ceil_mode");
    const auto kernel = user.ints_or("kernel_shape", {});
    if (kernel.size() != spatial) return rewriter.decline(pad, "kernel is not known");
    for (std::size_t i = 0; i < spatial; ++i) {  // runtimes refuse pads as large as the kernel
      if (pads[i] + begins[i + 2] >= kernel[i] || pads[i + spatial] + ends[i + 2] >= kernel[i]) {
        return rewriter.decline(pad, "pads as large as the kernel");
      }
    }
  }
  for (std::size_t i = 0; i < spatial; ++i) {
    pads[i] += begins[i + 2];
    pads[i + spatial] += ends[i + 2];
  }
  rewriter.together([&] {
    if (pools) rewriter.set_attribute(user, "count_include_pad", std::int64_t{1});
    rewriter.set_attribute(user, "pads", std::move(pads));
    rewriter.set_input(user, 0, input);
  });
  return Status::changed;
}

}  // namespace hone::passes
