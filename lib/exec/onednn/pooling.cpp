// MaxPool, AveragePool and the global ones in float32, in whatever layout the input has.
//
// Given back to the reference kernel: MaxPool's indices, other element types, windows that ceil_mode lets begin past the
// pads, column-major storage.
#include "exec/onednn/avx2.h"
#include "exec/onednn/eights.h"
#include "exec/onednn/families.h"
#include "exec/onednn/pool_blocks.h"
#include "exec/onednn/runtime.h"
#include "exec/reference/window.h"
#include "hone/ir/dimension.h"

namespace hone::exec::onednn {
namespace {

enum class Kind { max, average, global_max, global_average };

class Pooling final : public Kernel {
 public:
  Pooling(const KernelInfo& info, Kind kind) : node_(info.node), fallback_(info), kind_(kind) {
    ceil_ = node_.int_or("ceil_mode", 0) != 0;
    include_pad_ = node_.int_or("count_include_pad", 0) != 0;
    plans_nothing_ = has_avx2() && sizes_may_change(info.model);
  }

  std::string name() const override { return name_; }

  void run(Context& context) override {
    const Array& x = context.raw_input(0);
    Entry& entry = shapes_.of(x, [&](const Array& array) { return plan(array); });
    if (!entry.call && !entry.own) {
      name_ = "reference";
      fallback_.run(context);
      return;
    }
    const void* data = entry.adapter.get(context, x.data);
    Array& out = entry.target.output(context, 0, entry.dims);
    if (entry.own) return pool_blocks(*entry.own, static_cast<const float*>(data), out.as<float>());
    entry.call.bind(DNNL_ARG_SRC, entry.source, data);
    entry.call.bind(DNNL_ARG_DST, entry.target.desc, out.data);
    if (entry.scratch > 0) entry.call.bind(DNNL_ARG_SCRATCHPAD, entry.scratchpad, context.scratch(entry.scratch));
    entry.call.run();
  }

 private:
  struct Entry {
    Call call;  // empty: `own`, or the reference kernel takes this shape
    std::optional<PoolShape> own;
    Adapter adapter;
    Desc source, scratchpad;
    Target target;
    ir::Dims dims;
    std::uint64_t scratch = 0;
  };

  Entry plan(const Array& x) {
    Entry entry;
    if (x.type != ir::ElementType::float32 || x.rank() < 3 || x.rank() > 5) return entry;
    const std::size_t rank = x.rank() - 2;
    const bool global = kind_ == Kind::global_max || kind_ == Kind::global_average;
    if (global && !x.layout) return entry;  // the reference kernel reads each plane once, along memory
    if (std::any_of(x.dims.begin(), x.dims.end(), [](std::int64_t dim) { return dim < 1; })) return entry;
    const Window w(node_, x.dims, global ? ir::Dims(x.dims.begin() + 2, x.dims.end()) : ir::Dims(), ceil_);
    entry.dims = {x.dims[0], x.dims[1]};
    entry.dims.insert(entry.dims.end(), w.out.begin(), w.out.end());
    for (const ir::Dims& sizes : {x.dims, w.kernel, w.strides, w.dilations, w.before, w.after}) {
      if (!are_small(sizes)) return entry;
    }
    const dnnl::memory::dims window(w.kernel), strides(w.strides), before(w.before);
    dnnl::memory::dims dilations, after;
    for (std::size_t i = 0; i < rank; ++i) {
      const std::int64_t span = (w.kernel[i] - 1) * w.dilations[i] + 1;
      const std::int64_t back = (w.out[i] - 1) * w.strides[i] + span - w.in[i] - w.before[i];  // what the windows reach
      if (w.out[i] < 1 || w.before[i] >= span || back >= span) return entry;
      // What a window that hangs over the padding counts is not what oneDNN counts.
      if (back > w.after[i] && include_pad_ && kind_ == Kind::average) return entry;
      dilations.push_back(w.dilations[i] - 1);
      after.push_back(back);
    }
    const bool max = kind_ == Kind::max || kind_ == Kind::global_max;
    if (plan_own(entry, x, {window, strides, dilations, before}, max)) return entry;
    const auto algorithm = max            ? dnnl::algorithm::pooling_max
                           : include_pad_ ? dnnl::algorithm::pooling_avg_include_padding
                                          : dnnl::algorithm::pooling_avg_exclude_padding;
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    entry.source = desc_of(x);
    const Workers workers = Workers::for_bytes(static_cast<double>(entry.source.get_size()));
    // Windows over row-major planes are slow in oneDNN (20 times, 3.2): whole blocks of channels are worth a copy.
    const std::int64_t block = has_only_avx2() ? 8 : 16;
    if (!x.layout && rank == 2 && x.dims[1] % block == 0) {
      using Tag = dnnl::memory::format_tag;
      const Desc blocked(dnnl::memory::dims(x.dims.begin(), x.dims.end()), dnnl::memory::data_type::f32,
                         block == 8 ? Tag::nChw8c : Tag::nChw16c);
      entry.adapter = Adapter(entry.source, blocked);
      entry.source = blocked;
    }
    try {
      const dnnl::pooling_forward::primitive_desc pd(engine(), dnnl::prop_kind::forward_inference, algorithm,
                                                     entry.source, any_layout(entry.dims), strides, window, dilations,
                                                     before, after, attributes);
      entry.target = Target(pd.dst_desc());
      entry.scratchpad = pd.scratchpad_desc();
      entry.scratch = entry.scratchpad.get_size();
      entry.call = Call(dnnl::pooling_forward(pd));
      name_ = kernel_name(pd);
    } catch (const dnnl::error&) {
      return {};
    }
    return entry;
  }

  struct Windows {
    const dnnl::memory::dims &sizes, &strides, &dilations, &before;
  };
  // In blocks of 8 channels, where the CPU has no AVX-512 and its oneDNN no larger ones, and other sizes may come.
  bool plan_own(Entry& entry, const Array& x, const Windows& windows, bool largest) {
    const std::size_t rank = x.rank() - 2;
    if (!plans_nothing_ || rank > 2 || x.dims[1] % 8 != 0) return false;
    PoolShape shape;
    shape.blocks = x.dims[0] * (x.dims[1] / 8);
    shape.width = x.dims.back();
    shape.kernel_width = windows.sizes.back();
    shape.stride_width = windows.strides.back();
    shape.dilation_width = windows.dilations.back() + 1;
    shape.left = windows.before.back();
    shape.out_width = entry.dims.back();
    if (rank == 2) {
      shape.height = x.dims[2];
      shape.kernel_height = windows.sizes[0];
      shape.stride_height = windows.strides[0];
      shape.dilation_height = windows.dilations[0] + 1;
      shape.top = windows.before[0];
      shape.out_height = entry.dims[2];
    }
    double taps = static_cast<double>(shape.kernel_height * shape.kernel_width);
    for (const std::int64_t dim : entry.dims) taps *= static_cast<double>(dim);
    if (taps * 0.1e-9 > most_unplanned) return false;  // 10 a nanosecond
    shape.largest = largest;
    shape.counts_pads = include_pad_;
    entry.source = eights(x.dims);
    entry.adapter = Adapter(desc_of(x), entry.source, true);
    entry.target = Target(shape.out_height * shape.out_width > 1 ? eights(entry.dims) : row_major(entry.dims));
    entry.own = shape;
    name_ = "blocks:avx2";
    return true;
  }

  const ir::Node& node_;
  Fallback fallback_;
  Kind kind_;
  bool ceil_ = false, include_pad_ = false, plans_nothing_ = false;
  ShapeCache<Entry> shapes_;
  std::string name_ = "onednn";
};

template <Kind kind>
std::unique_ptr<Kernel> make_pooling(const KernelInfo& info) {
  const ir::ElementType type = info.input_type(0);
  if (type != ir::ElementType::float32 && type != ir::ElementType::undefined) return nullptr;
  if (kind == Kind::max && info.node.output_count() > 1 && info.node.output(1)) return nullptr;
  if (info.node.int_or("storage_order", 0) != 0) return nullptr;
  return std::make_unique<Pooling>(info, kind);
}

}  // namespace

std::span<const KernelEntry> pooling_kernels() {
  static constexpr KernelEntry entries[] = {
      {"MaxPool", 1, make_pooling<Kind::max>},
      {"AveragePool", 1, make_pooling<Kind::average>},
      {"GlobalMaxPool", 1, make_pooling<Kind::global_max>},
      {"GlobalAveragePool", 1, make_pooling<Kind::global_average>},
  };
  return entries;
}

}  // namespace hone::exec::onednn
