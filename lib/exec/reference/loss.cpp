// NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: class scores along dimension 1, class numbers as targets.
//
// The mean weights each target; a target equal to ignore_index weighs nothing. Sums are in double.
#include <cmath>
#include <optional>

#include "exec/reference/elements.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

void loss_of(Context& context, bool from_scores) {
  const Array &scores = context.input(0), &target = context.input(1);
  const ir::Node& node = context.node();
  require_rank(scores, 2, std::numeric_limits<std::size_t>::max(), "scores");
  ir::Dims places = scores.dims;
  places.erase(places.begin() + 1);
  if (target.dims != places)
    bad_input("targets of shape {} for scores of shape {}", ir::text(target.dims), ir::text(scores.dims));
  const std::int64_t classes = scores.dims[1], inner = product(scores.dims, 2, scores.rank()), count = target.count();
  const std::string reduction = node.string_or("reduction", "mean");
  if (reduction != "none" && reduction != "sum" && reduction != "mean") bad_input("reduction is {}", quote(reduction));
  const auto ignored =
      node.has_attribute("ignore_index") ? std::optional(node.int_or("ignore_index", 0)) : std::nullopt;
  const Array* weight = context.has_input(2) ? &context.input(2) : nullptr;
  if (weight && weight->dims != ir::Dims{classes})
    bad_input("weights of shape {} for {} classes", ir::text(weight->dims), classes);
  Array flat = target;
  flat.dims = {count};
  const ir::Dims targets = read_ints(flat);
  for (const std::int64_t t : targets) {
    if (t != ignored && (t < 0 || t >= classes)) bad_input("target {} of {} classes", t, classes);
  }
  in_real(context, scores.type, [&]<typename T>() {
    const T* given = view<T>(context, scores);
    const T* weights = weight ? view<T>(context, *weight) : nullptr;
    const T* logs = given;
    if (from_scores) {
      std::optional<Result<T>> asked;
      if (context.wants_output(1)) asked.emplace(context, 1, scores.type, scores.dims);
      T* made = asked ? asked->data() : scratch<T>(context, scores.count());
      parallel_for(count, grain_for(static_cast<double>(classes) * 8), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t at = i / inner * classes * inner + i % inner;
          T largest = -std::numeric_limits<T>::infinity();
          for (std::int64_t c = 0; c < classes; ++c) largest = std::max(largest, given[at + c * inner]);
          double sum = 0;
          for (std::int64_t c = 0; c < classes; ++c)
            sum += static_cast<double>(std::exp(given[at + c * inner] - largest));
          const T shift = largest + static_cast<T>(std::log(sum));
          for (std::int64_t c = 0; c < classes; ++c) made[at + c * inner] = given[at + c * inner] - shift;
        }
      });
      if (asked) asked->finish();
      logs = made;
    }
    Result<T> out(context, 0, scores.type, reduction == "none" ? places : ir::Dims());
    double sum = 0, total_weight = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t t = targets[static_cast<std::size_t>(i)];
      T loss = 0, by = 0;
      if (t != ignored) {
        by = weights ? weights[t] : T{1};
        loss = -logs[(i / inner * classes + t) * inner + i % inner] * by;
      }
      if (reduction == "none") out.data()[i] = loss;
      sum += static_cast<double>(loss);
      total_weight += static_cast<double>(by);
    }
    if (reduction == "sum") *out.data() = static_cast<T>(sum);
    if (reduction == "mean") *out.data() = static_cast<T>(sum / total_weight);
    out.finish();
  });
}
void negative_log_likelihood(Context& context) { loss_of(context, false); }
void softmax_cross_entropy(Context& context) { loss_of(context, true); }

}  // namespace

std::span<const KernelEntry> loss_kernels() {
  static constexpr KernelEntry entries[] = {
      {"NegativeLogLikelihoodLoss", 12, stateless<negative_log_likelihood>},
      {"SoftmaxCrossEntropyLoss", 12, stateless<softmax_cross_entropy>},
  };
  return entries;
}

}  // namespace hone::exec
