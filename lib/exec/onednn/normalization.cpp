// Functions of whole rows in float32: Softmax and LogSoftmax, LayerNormalization, RMSNormalization, and of ONNX Runtime
// SimplifiedLayerNormalization, SkipLayerNormalization, SkipSimplifiedLayerNormalization. On AVX2 by our own code
// (exec/onednn/rows.h); elsewhere by oneDNN, which has the first three only.
//
// Given back to the reference kernel: other element types, empty tensors, scales that broadcast; statistics as outputs.
#include <algorithm>

#include "exec/onednn/avx2.h"
#include "exec/onednn/families.h"
#include "exec/onednn/rows.h"
#include "exec/onednn/runtime.h"

namespace hone::exec::onednn {
namespace {

bool may_be_float(const KernelInfo& info) {
  const ir::ElementType type = info.input_type(0);
  return type == ir::ElementType::float32 || type == ir::ElementType::undefined;
}
bool wants_any(const ir::Node& node, std::size_t first, std::size_t last) {
  for (std::size_t i = first; i < std::min(last, node.output_count()); ++i) {
    if (node.output(i)) return true;
  }
  return false;
}
const float* floats_of(const Array* array) { return array ? array->as<float>() : nullptr; }

// Softmax and LogSoftmax: along one axis, or (before version 13) over all from that axis on.
class Softmax final : public Kernel {
 public:
  Softmax(const KernelInfo& info, dnnl::algorithm algorithm)
      : fallback_(info),
        algorithm_(algorithm),
        one_axis_(info.opset >= 13),
        axis_(info.node.int_or("axis", one_axis_ ? -1 : 1)) {}

  std::string name() const override { return name_; }

  void run(Context& context) override {
    const Array& x = context.input(0);
    const auto rank = static_cast<std::int64_t>(x.rank());
    const std::int64_t axis = axis_ < 0 ? axis_ + rank : axis_;
    if (x.type != ir::ElementType::float32 || x.count() == 0 || axis < 0 || axis >= rank) {
      fallback_.run(context);
      return;
    }
    const std::byte* data = x.data;
    const ir::Dims dims = x.dims;
    if (has_avx2() && (axis + 1 == rank || !one_axis_)) {
      std::int64_t length = 1;
      for (auto i = static_cast<std::size_t>(axis); i < dims.size(); ++i) length *= dims[i];
      const std::int64_t rows = x.count() / length;
      name_ = "avx2";
      Array& out = context.output_over(0, 0, ir::ElementType::float32, dims);
      softmax_rows(reinterpret_cast<const float*>(data), rows, length, algorithm_ == dnnl::algorithm::softmax_log,
                   out.as<float>());
      return;
    }
    if (!one_axis_) {
      fallback_.run(context);
      return;
    }
    shapes_.begin_key();
    shapes_.add(x);
    Entry* entry = shapes_.find();
    if (!entry) entry = &shapes_.insert(guarded([&] { return plan(x, axis); }), {});
    Array& out = context.output_over(0, 0, ir::ElementType::float32, dims);
    entry->call.bind(DNNL_ARG_SRC, entry->desc, data);
    entry->call.bind(DNNL_ARG_DST, entry->desc, out.data);
    entry->call.run();
  }

 private:
  struct Entry {
    Call call;
    Desc desc;
  };
  Entry plan(const Array& x, std::int64_t axis) {
    // As outer, axis, inner.
    std::int64_t outer = 1, inner = 1;
    const auto at = static_cast<std::size_t>(axis);
    for (std::size_t i = 0; i < x.rank(); ++i) {
      if (i < at) outer *= x.dims[i];
      if (i > at) inner *= x.dims[i];
    }
    Entry entry;
    const std::vector<std::int64_t> sizes =
        inner == 1 ? std::vector<std::int64_t>{outer, x.dims[at]} : std::vector<std::int64_t>{outer, x.dims[at], inner};
    entry.desc = row_major(sizes);
    const Workers workers = Workers::for_bytes(6 * static_cast<double>(entry.desc.get_size()));  // e^x costs more
    const dnnl::softmax_forward::primitive_desc pd(engine(), dnnl::prop_kind::forward_inference, algorithm_, entry.desc,
                                                   entry.desc, 1);
    entry.call = Call(dnnl::softmax_forward(pd));
    name_ = kernel_name(pd);
    return entry;
  }

  Fallback fallback_;
  dnnl::algorithm algorithm_;
  bool one_axis_;
  std::int64_t axis_;
  ShapeCache<Entry> shapes_;
  std::string name_ = "reference";
};

template <dnnl::algorithm algorithm>
std::unique_ptr<Kernel> make_softmax(const KernelInfo& info) {
  return may_be_float(info) ? std::make_unique<Softmax>(info, algorithm) : nullptr;
}

// `centered`: around the mean of a row.
class Normalization final : public Kernel {
 public:
  Normalization(const KernelInfo& info, bool centered)
      : fallback_(info),
        centered_(centered),
        axis_(info.node.int_or("axis", -1)),
        epsilon_(info.node.float_or("epsilon", 1e-5F)) {}

  std::string name() const override { return name_; }

  void run(Context& context) override {
    const Array& x = context.input(0);
    const Array& scale = context.input(1);
    const Array* shift = context.has_input(2) ? &context.input(2) : nullptr;
    const auto rank = static_cast<std::int64_t>(x.rank());
    const std::int64_t axis = axis_ < 0 ? axis_ + rank : axis_;
    std::int64_t length = 1;
    for (std::int64_t i = std::max<std::int64_t>(axis, 0); i < rank; ++i) length *= x.dims[static_cast<std::size_t>(i)];
    const auto fits = [&](const Array& array) {
      return array.type == ir::ElementType::float32 && array.count() == length &&
             std::equal(array.dims.begin(), array.dims.end(), x.dims.end() - std::min(rank, rank - axis), x.dims.end());
    };
    if (x.type != ir::ElementType::float32 || x.count() == 0 || axis < 0 || axis >= rank || !fits(scale) ||
        (shift && !fits(*shift))) {
      fallback_.run(context);
      return;
    }
    const std::byte *data = x.data, *by = scale.data, *plus = shift ? shift->data : nullptr;
    const ir::Dims dims = x.dims;
    if (has_avx2()) {
      const std::int64_t rows = x.count() / length;
      const RowNormalization how{length, epsilon_, centered_, reinterpret_cast<const float*>(by),
                                 reinterpret_cast<const float*>(plus)};
      name_ = "avx2";
      Array& out = context.output_over(0, 0, ir::ElementType::float32, dims);
      normalize_rows(how, reinterpret_cast<const float*>(data), rows, out.as<float>());
      return;
    }
    shapes_.begin_key();
    shapes_.add(x);
    Entry* entry = shapes_.find();
    if (!entry)
      entry = &shapes_.insert(guarded([&] { return plan(x.count() / length, length, shift != nullptr); }), {});
    Array& out = context.output_over(0, 0, ir::ElementType::float32, dims);
    entry->call.bind(DNNL_ARG_SRC, entry->desc, data);
    entry->call.bind(DNNL_ARG_DST, entry->desc, out.data);
    entry->call.bind(DNNL_ARG_SCALE, entry->parameters, by);
    if (plus) entry->call.bind(DNNL_ARG_SHIFT, entry->parameters, plus);
    if (entry->scratch > 0) entry->call.bind(DNNL_ARG_SCRATCHPAD, entry->scratchpad, context.scratch(entry->scratch));
    entry->call.run();
  }

 private:
  struct Entry {
    Call call;
    Desc desc, parameters, scratchpad;
    std::uint64_t scratch = 0;
  };
  Entry plan(std::int64_t rows, std::int64_t length, bool shift) {
    Entry entry;
    entry.desc = row_major(std::vector<std::int64_t>{rows, length});
    entry.parameters = row_major(std::vector<std::int64_t>{length});
    const Workers workers = Workers::for_bytes(3 * static_cast<double>(entry.desc.get_size()));
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    auto flags = dnnl::normalization_flags::use_scale;
    if (shift) flags |= dnnl::normalization_flags::use_shift;
    const dnnl::layer_normalization_forward::primitive_desc pd(engine(), dnnl::prop_kind::forward_inference, entry.desc,
                                                               entry.desc, epsilon_, flags, attributes);
    entry.scratchpad = pd.scratchpad_desc();
    entry.scratch = entry.scratchpad.get_size();
    entry.call = Call(dnnl::layer_normalization_forward(pd));
    name_ = kernel_name(pd);
    return entry;
  }

  Fallback fallback_;
  bool centered_;
  std::int64_t axis_;
  float epsilon_;
  ShapeCache<Entry> shapes_;
  std::string name_ = "onednn";
};

template <bool centered>
std::unique_ptr<Kernel> make_normalization(const KernelInfo& info) {
  if (!may_be_float(info) || wants_any(info.node, 1, 3) || (!centered && !has_avx2())) return nullptr;
  return std::make_unique<Normalization>(info, centered);
}

// Of input + skip + bias, which may be an output, too.
class SkipNormalization final : public PartialKernel {
 public:
  SkipNormalization(const KernelInfo& info, bool centered)
      : PartialKernel(info, "avx2"), centered_(centered), epsilon_(info.node.float_or("epsilon", 1e-12F)) {}

 private:
  bool compute(Context& context) override {
    const auto optional = [&](std::size_t index) { return context.has_input(index) ? &context.input(index) : nullptr; };
    const Array &x = context.input(0), &skip = context.input(1), &scale = context.input(2);
    const Array *shift = centered_ ? optional(3) : nullptr, *bias = optional(centered_ ? 4 : 3);
    const auto is_float = [](const Array& array) { return array.type == ir::ElementType::float32; };
    if (!is_float(x) || !is_float(skip) || x.rank() < 2 || x.rank() > 3 || x.count() == 0) return false;
    const std::int64_t length = x.dims.back(), rows = x.count() / length;
    for (const Array* row : {&scale, shift, bias}) {
      if (row && (!is_float(*row) || row->dims != ir::Dims{length})) return false;
    }
    // A sample of it for all of a batch, or one each.
    if (skip.rank() < 2 || skip.rank() > x.rank()) return false;
    if (!std::equal(skip.dims.end() - 2, skip.dims.end(), x.dims.end() - 2)) return false;
    if (skip.rank() == 3 && skip.dims[0] != x.dims[0] && skip.dims[0] != 1) return false;
    const ir::Dims dims = x.dims;
    Array* sum = context.wants_output(3) ? &context.output(3, ir::ElementType::float32, dims) : nullptr;
    Array& out = context.output(0, ir::ElementType::float32, dims);
    const RowNormalization how{length, epsilon_, centered_, scale.as<float>(), floats_of(shift)};
    const RowSum summed{skip.as<float>(), skip.count() / length, floats_of(bias), sum ? sum->as<float>() : nullptr};
    normalize_sums(how, summed, x.as<float>(), rows, out.as<float>());
    return true;
  }

  bool centered_;
  float epsilon_;
};

template <bool centered>
std::unique_ptr<Kernel> make_skip_normalization(const KernelInfo& info) {
  if (!may_be_float(info) || wants_any(info.node, 1, 3) || !has_avx2()) return nullptr;
  return std::make_unique<SkipNormalization>(info, centered);
}

}  // namespace

std::span<const KernelEntry> normalization_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Softmax", 1, make_softmax<dnnl::algorithm::softmax_accurate>},
      {"LogSoftmax", 1, make_softmax<dnnl::algorithm::softmax_log>},
      {"LayerNormalization", 17, make_normalization<true>},
      {"RMSNormalization", 23, make_normalization<false>},
      {"SimplifiedLayerNormalization", 1, make_normalization<false>},
      {"SkipLayerNormalization", 1, make_skip_normalization<true>, last_version, microsoft},
      {"SkipSimplifiedLayerNormalization", 1, make_skip_normalization<false>, last_version, microsoft},
  };
  return entries;
}

}  // namespace hone::exec::onednn
