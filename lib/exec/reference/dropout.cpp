// Dropout: a copy in inference; in training, which opset 12 and later ask for by an input, some elements become 0 and the
// others grow, by random numbers that depend on the seed and the element alone.
//
// Before opset 7 an absent is_test meant training. Such files are trained models all the same: they are run as copies,
// which is also what converting them to opset 7 makes of them.
#include "exec/reference/elements.h"
#include "exec/reference/list.h"
#include "hone/support/random.h"

namespace hone::exec {
namespace {

void copy(Context& context) {
  const Array& in = context.input(0);
  context.forward(0, 0, in.dims);
}
void fill_mask(Context& context, ir::ElementType type) {
  if (!context.wants_output(1)) return;
  const Array& in = context.input(0);
  Array& mask = context.output(1, type, in.dims);
  const std::int64_t count = mask.count();
  if (type == ir::ElementType::boolean) {
    std::fill_n(mask.as<bool>(), count, true);
  } else if (!dispatch_real(type, [&]<typename T>() { std::fill_n(mask.as<T>(), count, T{1}); })) {
    const std::vector<float> ones(static_cast<std::size_t>(count), 1.0f);
    narrow(ones.data(), mask);
  }
}
void dropout_1(Context& context) {  // a mask of the input's type
  fill_mask(context, context.input(0).type);
  copy(context);
}
void dropout_10(Context& context) {
  fill_mask(context, ir::ElementType::boolean);
  copy(context);
}

void dropout(Context& context) {
  bool training = false;
  if (context.has_input(2)) {
    const Array& mode = context.input(2);
    require_type(mode, ir::ElementType::boolean, "training_mode");
    if (mode.count() != 1) bad_input("training_mode has {} elements", mode.count());
    training = *mode.as<bool>();
  }
  const double ratio = context.has_input(1) ? read_double(context.input(1)) : 0.5;
  if (!training || ratio == 0) return dropout_10(context);
  if (!(ratio > 0 && ratio < 1)) bad_input("a ratio of {}", ratio);
  const Array& in = context.input(0);
  const std::uint64_t seed = context.node().has_attribute("seed")
                                 ? static_cast<std::uint64_t>(context.node().int_or("seed", 0))
                                 : context.random_seed();
  in_real(context, in.type, [&]<typename T>() {
    const T* from = view<T>(context, in);
    Result<T> out(context, 0, in.type, in.dims);
    bool* mask = context.wants_output(1) ? context.output(1, ir::ElementType::boolean, in.dims).as<bool>() : nullptr;
    const T scale = static_cast<T>(1 / (1 - ratio));
    const auto threshold = static_cast<std::uint32_t>(ratio * 4294967296.0);  // drawn below it: dropped
    const std::int64_t count = in.count();
    parallel_for(ceil_div(count, 4), costly_grain / 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        const auto drawn = philox(seed, 0, static_cast<std::uint64_t>(block));
        for (std::int64_t i = block * 4; i < std::min(count, block * 4 + 4); ++i) {
          const bool kept = drawn[static_cast<std::size_t>(i - block * 4)] >= threshold;
          out.data()[i] = kept ? from[i] * scale : T{0};
          if (mask) mask[i] = kept;
        }
      }
    });
    out.finish();
  });
}

}  // namespace

std::span<const KernelEntry> dropout_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Dropout", 1, stateless<dropout_1>, 9},
      {"Dropout", 10, stateless<dropout_10>, 11},
      {"Dropout", 12, stateless<dropout>},
  };
  return entries;
}

}  // namespace hone::exec
