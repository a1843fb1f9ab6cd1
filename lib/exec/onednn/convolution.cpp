// Conv and ConvTranspose in float32: any rank oneDNN has, groups, depthwise, dilations, asymmetric pads. Constant weights
// are packed once for each layout a shape asks for; those that change (training) are packed at every run. Windows of 3 x 3
// with constant weights go to exec/onednn/winograd.h where that is faster. In models whose sizes may change from run to run,
// all but large ones without groups, or of each channel alone, go to exec/onednn/direct.h: a primitive for a new shape takes
// 0.1 ms and more to make, and saves a tenth to a quarter of the run.
//
// Declined, or given back to the reference kernel at run time: other element types, empty tensors, shapes oneDNN refuses.
#include <cstring>

#include "exec/onednn/avx2.h"
#include "exec/onednn/direct.h"
#include "exec/onednn/eights.h"
#include "exec/onednn/families.h"
#include "exec/onednn/post_ops.h"
#include "exec/onednn/winograd.h"
#include "exec/reference/window.h"
#include "hone/ir/dimension.h"

namespace hone::exec::onednn {
namespace {

using Dims = dnnl::memory::dims;

struct Geometry {
  Dims strides, dilations, before, after;
};

class Convolution final : public Kernel {
 public:
  Convolution(const KernelInfo& info, bool transposed)
      : info_(info), fallback_(info), transposed_(transposed), tail_(read_tail(info.node)) {
    const ir::Node& node = info.node;
    group_ = node.int_or("group", 1);
    weights_ = info.constant_input(1);
    bias_ = info.constant_input(2);
    plans_nothing_ = has_avx2() && sizes_may_change(info.model);
  }

  std::string name() const override { return name_; }

  void run(Context& context) override {
    const Array& x = context.raw_input(0);
    const Array* w = weights_ ? nullptr : &context.input(1);
    const ir::Dims weight_dims = w ? w->dims : weights_->dims();
    shapes_.begin_key();
    shapes_.add(x);
    if (w) shapes_.add(*w);
    Entry* entry = shapes_.find();
    if (!entry)
      entry =
          &shapes_.insert(guarded([&] { return plan(x, weight_dims, w ? w->type : weights_->type()); }), {x.layout});
    if ((!entry->call && !entry->winograd && !entry->direct) || !fits(context, *entry)) {
      fallback_.run(context);
      return;
    }
    if (entry->direct) return run_direct(context, *entry, x);
    const FusedStep* sum = entry->sum;
    Array* out = nullptr;
    if (sum) {
      const Array& other = context.raw_input(sum->input);
      if (other.layout == entry->target.layout) {
        std::byte* data = other.data;
        out = &over(context, *entry, sum->input);
        if (out->data != data) std::memcpy(out->data, data, entry->target.desc.get_size());
      } else {
        const Desc from = desc_of(other);
        const std::byte* data = other.data;
        out = &entry->target.output(context, 0, entry->dims);
        reorder(from, data, entry->target.desc, out->data);
      }
    } else {
      out = &entry->target.output(context, 0, entry->dims);
    }
    if (entry->winograd) {
      run_winograd(context, *entry, static_cast<const float*>(entry->adapter.get(context, x.data)), out->as<float>());
      return;
    }
    Call& call = entry->call;
    call.bind(DNNL_ARG_SRC, entry->source, entry->adapter.get(context, x.data));
    if (w) {
      call.bind(DNNL_ARG_WEIGHTS, entry->weights, entry->weight_adapter.get(context, scaled(context, *w)));
    } else {
      if (!entry->packed) entry->packed = pack(*entry);
      call.bind(DNNL_ARG_WEIGHTS, entry->weights, entry->packed);
    }
    if (entry->has_bias) call.bind(DNNL_ARG_BIAS, entry->bias, bias(context));
    call.bind(DNNL_ARG_DST, entry->result, out->data);
    if (entry->scratch > 0) call.bind(DNNL_ARG_SCRATCHPAD, entry->scratchpad, context.scratch(entry->scratch));
    call.run();
  }

 private:
  struct Entry {
    Call call;  // empty: Winograd's way, or the reference kernel takes this shape
    std::optional<WinogradShape> winograd;
    std::optional<DirectShape> direct;
    bool depthwise = false;  // the direct one
    Adapter adapter, weight_adapter;
    Desc source, weights, plain_weights, bias, result, scratchpad;
    Target target;
    ir::Dims dims;
    bool has_bias = false;
    const FusedStep* sum = nullptr;
    std::uint64_t scratch = 0;
    const void* packed = nullptr;
  };

  // What the step adds must be of the result's very shape: the rest broadcasts.
  static bool fits(Context& context, const Entry& entry) {
    if (!entry.sum) return true;
    const Array& other = context.raw_input(entry.sum->input);
    return other.type == ir::ElementType::float32 && other.dims == entry.dims;
  }

  static Array& over(Context& context, const Entry& entry, std::size_t source) {
    return entry.target.layout
               ? context.output_over_with_layout(0, source, ir::ElementType::float32, entry.dims, entry.target.layout)
               : context.output_over(0, source, ir::ElementType::float32, entry.dims);
  }

  // Sizes of the result and pads; false where they don't fit oneDNN.
  bool geometry(const ir::Dims& x, const ir::Dims& w, Geometry& g, ir::Dims& out) const {
    const ir::Dims kernel(w.begin() + 2, w.end());
    const Window window = transposed_ ? transposed_window(info_.node, x, kernel) : Window(info_.node, x, kernel);
    out = {x[0], transposed_ ? w[1] * group_ : w[0]};
    const ir::Dims& sizes = transposed_ ? window.in : window.out;
    out.insert(out.end(), sizes.begin(), sizes.end());
    if (!are_small(out) || !are_small(window.strides) || !are_small(window.dilations)) return false;
    g.strides.assign(window.strides.begin(), window.strides.end());
    g.before.assign(window.before.begin(), window.before.end());
    g.after.assign(window.after.begin(), window.after.end());
    for (const std::int64_t dilation : window.dilations) g.dilations.push_back(dilation - 1);
    return are_small(window.before) && are_small(window.after);
  }

  Entry plan(const Array& x, const ir::Dims& w, ir::ElementType weight_type) {
    Entry entry;
    const bool plain_types = x.type == ir::ElementType::float32 && weight_type == ir::ElementType::float32;
    if (!plain_types || x.rank() < 3 || x.rank() > 5 || w.size() != x.rank()) return entry;
    if (group_ < 1 || group_ > std::numeric_limits<std::int32_t>::max() || !are_small(w)) return entry;
    const std::int64_t channels = x.dims[1];
    if (channels != (transposed_ ? w[0] : w[1] * group_) || w[0] % group_ != 0) return entry;
    Geometry g;
    if (!geometry(x.dims, w, g, entry.dims)) return entry;
    for (const ir::Dims* dims : {&x.dims, &w, static_cast<const ir::Dims*>(&entry.dims)}) {
      for (const std::int64_t dim : *dims) {
        if (dim < 1) return entry;
      }
    }
    for (const FusedStep& step : tail_.steps) {
      if (step.kind == FusedStep::Kind::add) entry.sum = &step;
    }
    if (plan_winograd(entry, x, w, g) || plan_direct(entry, x, w, g)) return entry;
    // oneDNN's code runs along the last dimension. Where that is 1, as in convolutions over time that were made for
    // images, it is left out.
    const ir::Dims full = entry.dims;
    ir::Dims x_dims = x.dims, w_dims = w, result = full;
    Desc source_layout = desc_of(x);
    if (x.rank() == 4 && x.dims[3] == 1 && w[3] == 1 && full[3] == 1 && x.dims[2] > 1) {
      try {
        source_layout = source_layout.reshape({x.dims[0], x.dims[1], x.dims[2]});
        for (ir::Dims* dims : {&x_dims, &w_dims, &result}) dims->pop_back();
        for (Dims* values : {&g.strides, &g.dilations, &g.before, &g.after}) values->pop_back();
      } catch (const dnnl::error&) {  // a layout that does not allow it
      }
    }

    // As oneDNN has them: groups first, then output and input channels of one group.
    const std::int64_t in = (transposed_ ? w[0] : w[1] * group_) / group_, out = (transposed_ ? w[1] : w[0] / group_);
    Dims weight_dims, weight_strides;
    std::int64_t kernel = 1;
    for (std::size_t i = 2; i < w.size(); ++i) kernel *= w[i];
    if (group_ > 1) {
      weight_dims = {group_, out, in};
      weight_strides = {in * out * kernel, transposed_ ? kernel : in * kernel, transposed_ ? out * kernel : kernel};
    } else {
      weight_dims = {out, in};
      weight_strides = {transposed_ ? kernel : in * kernel, transposed_ ? out * kernel : kernel};
    }
    std::int64_t rest = kernel;
    for (std::size_t i = 2; i < w_dims.size(); ++i) {
      weight_dims.push_back(w_dims[i]);
      rest /= w_dims[i];
      weight_strides.push_back(rest);
    }
    using D = dnnl::memory::data_type;
    entry.plain_weights = Desc(weight_dims, D::f32, weight_strides);
    entry.has_bias = info_.node.input(2) != nullptr || !tail_.shift.empty();
    if (entry.has_bias) entry.bias = Desc({entry.dims[1]}, D::f32, dnnl::memory::format_tag::x);

    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    attributes.set_post_ops(post_ops(tail_.steps));
    double operations = 2 * static_cast<double>(in * kernel);
    for (const std::int64_t dim : transposed_ ? x.dims : entry.dims) operations *= static_cast<double>(dim);
    if (transposed_) operations *= static_cast<double>(out) / static_cast<double>(in);
    const Workers workers = transposed_ ? Workers::for_operations(operations) : Workers::for_asking(operations);
    const Desc source = any_layout(x_dims), weights = any_layout(weight_dims), target = any_layout(result);
    try {
      if (transposed_) {
        const auto pd = dnnl::deconvolution_forward::primitive_desc(
            engine(), dnnl::prop_kind::forward_inference, dnnl::algorithm::deconvolution_direct, source, weights,
            entry.bias, target, g.strides, g.dilations, g.before, g.after, attributes);
        finish(entry, pd, dnnl::deconvolution_forward(pd));
      } else {
        const auto make = [=, bias = entry.bias] {
          return dnnl::convolution_forward::primitive_desc(
              engine(), dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, source, weights, bias,
              target, g.strides, g.dilations, g.before, g.after, attributes);
        };
        const auto pd = choose(make, entry.dims[1]);
        finish(entry, pd, dnnl::convolution_forward(pd));
        entry.call.allow_serial(seconds_of(operations), [make, pd, channels_out = entry.dims[1]] {
          const auto other = choose(make, channels_out);
          return is_alike(pd, other) ? dnnl::convolution_forward(other) : dnnl::primitive();
        });
      }
    } catch (const dnnl::error&) {
      return {};
    }
    entry.adapter = Adapter(source_layout, entry.source);
    if (!weights_) entry.weight_adapter = Adapter(entry.plain_weights, entry.weights);
    return entry;
  }

  bool plan_winograd(Entry& entry, const Array& x, const ir::Dims& w, const Geometry& g) {
    const Dims ones(2, 1), none(2, 0);
    if (transposed_ || group_ != 1 || !weights_ || w.size() != 4 || w[2] != 3 || w[3] != 3) return false;
    if (g.strides != ones || g.dilations != none) return false;
    WinogradShape shape;
    shape.batch = x.dims[0];
    shape.in_channels = x.dims[1];
    shape.out_channels = entry.dims[1];
    shape.height = x.dims[2];
    shape.width = x.dims[3];
    shape.top = g.before[0];
    shape.left = g.before[1];
    shape.out_height = entry.dims[2];
    shape.out_width = entry.dims[3];
    // What oneDNN's kernels around it have, or exec/onednn/direct.h.
    shape.block = has_avx512() && !plans_nothing_ ? 16 : 8;
    if (!winograd_fits(shape)) return false;
    entry.source = channel_blocks(x.dims, shape.block);
    entry.adapter = Adapter(desc_of(x), entry.source, plans_nothing_);
    entry.result = channel_blocks(entry.dims, shape.block);
    entry.target = Target(entry.result);
    entry.has_bias = info_.node.input(2) != nullptr || !tail_.shift.empty();
    entry.winograd = shape;
    name_ = fmt::format("winograd:{}", shape.block == 16 ? "avx512" : "avx2");
    return true;
  }

  bool plan_direct(Entry& entry, const Array& x, const ir::Dims& w, const Geometry& g) {
    if (!plans_nothing_ || transposed_ || !weights_ || w.size() > 4) return false;
    DirectShape shape;
    shape.batch = x.dims[0];
    shape.in_channels = x.dims[1];
    shape.out_channels = entry.dims[1];
    entry.depthwise = group_ > 1;
    if (group_ > 1 && (group_ != shape.in_channels || group_ != shape.out_channels || group_ % 8 != 0)) return false;
    // A row is the last dimension; of images of one column, that column.
    const std::size_t rank = w.size() - 2;
    const bool column = rank == 2 && x.dims[3] == 1 && w[3] == 1 && entry.dims[3] == 1 && g.before[1] == 0;
    const std::size_t across = column ? 0 : rank - 1;
    shape.width = x.dims[2 + across];
    shape.kernel_width = w[2 + across];
    shape.stride_width = g.strides[across];
    shape.dilation_width = g.dilations[across] + 1;
    shape.left = g.before[across];
    shape.out_width = entry.dims[2 + across];
    if (rank == 2 && !column) {
      shape.height = x.dims[2];
      shape.kernel_height = w[2];
      shape.stride_height = g.strides[0];
      shape.dilation_height = g.dilations[0] + 1;
      shape.top = g.before[0];
      shape.out_height = entry.dims[2];
    }
    const std::int64_t places = shape.height * shape.width, out_places = shape.out_height * shape.out_width;
    double operations = 2 * static_cast<double>(w[1] * shape.kernel_height * shape.kernel_width);
    for (const std::int64_t dim : entry.dims) operations *= static_cast<double>(dim);
    // A channel alone shares nothing with others: a quarter of the speed.
    if (seconds_of(operations) * (entry.depthwise ? 4 : 1) > most_unplanned) return false;
    const Desc source = desc_of(x);
    // A place alone is the same in both layouts.
    if (places == 1) {
      entry.source = as_eights(source) ? source : row_major(x.dims);
    } else {
      entry.source = shape.reads_blocks() ? eights(x.dims) : row_major(x.dims);
    }
    entry.adapter = Adapter(source, entry.source, true);
    entry.result = out_places > 1 && shape.writes_blocks() ? eights(entry.dims) : row_major(entry.dims);
    entry.target = Target(entry.result);
    entry.has_bias = info_.node.input(2) != nullptr || !tail_.shift.empty();
    entry.direct = shape;
    name_ = entry.depthwise ? "depthwise:avx2" : fmt::format("direct:{}", widest_isa());
    return true;
  }

  void run_direct(Context& context, Entry& entry, const Array& x) {
    const DirectShape& shape = *entry.direct;
    if (!direct_weights_) {
      Buffer plain(weights_->byte_size());
      weights_->read(0, {plain.data(), weights_->byte_size()});
      auto* values = reinterpret_cast<float*>(plain.data());
      scale(values, weights_->dims());
      direct_weights_ =
          std::make_unique<Buffer>(entry.depthwise ? depthwise_weight_bytes(shape) : direct_weight_bytes(shape));
      (entry.depthwise ? depthwise_weights : direct_weights)(shape, values,
                                                             reinterpret_cast<float*>(direct_weights_->data()));
    }
    DirectRun run;
    run.in = static_cast<const float*>(entry.adapter.get(context, x.data));
    run.weights = reinterpret_cast<const float*>(direct_weights_->data());
    run.bias = entry.has_bias ? static_cast<const float*>(bias(context)) : nullptr;
    run.steps = &tail_.steps;
    bool takes_over = false;
    if (entry.sum) {
      const Array& other = context.raw_input(entry.sum->input);
      const bool same = other.layout == entry.target.layout;
      const std::byte* held = other.data;
      if (!same) {
        std::byte* copy = context.scratch(entry.target.desc.get_size());
        reorder(desc_of(other), other.data, entry.target.desc, copy);
        held = copy;
      }
      run.held = reinterpret_cast<const float*>(held);
      takes_over = same && (entry.depthwise || !direct_keeps_sums(shape));
    }
    Array& out = takes_over ? over(context, entry, entry.sum->input) : entry.target.output(context, 0, entry.dims);
    run.out = out.as<float>();
    const std::uint64_t scratch = entry.depthwise ? 0 : direct_scratch_bytes(shape);
    if (scratch > 0) run.scratch = reinterpret_cast<float*>(context.scratch(scratch));
    (entry.depthwise ? depthwise_convolution : direct_convolution)(shape, run);
  }

  void run_winograd(Context& context, const Entry& entry, const float* in, float* out) {
    const WinogradShape& shape = *entry.winograd;
    if (!transformed_) {
      Buffer plain(weights_->byte_size());
      weights_->read(0, {plain.data(), weights_->byte_size()});
      scale(reinterpret_cast<float*>(plain.data()), weights_->dims());
      transformed_ = std::make_unique<Buffer>(winograd_weight_bytes(shape));
      winograd_weights(shape, reinterpret_cast<const float*>(plain.data()),
                       reinterpret_cast<float*>(transformed_->data()));
    }
    const auto* added = entry.has_bias ? static_cast<const float*>(bias(context)) : nullptr;
    auto* scratch = reinterpret_cast<float*>(context.scratch(winograd_scratch_bytes(shape)));
    winograd(shape, in, reinterpret_cast<const float*>(transformed_->data()), added, tail_.steps, scratch, out);
  }

  template <typename PrimitiveDesc>
  void finish(Entry& entry, const PrimitiveDesc& pd, const dnnl::primitive& primitive) {
    name_ = kernel_name(pd);
    entry.call = Call(primitive);
    entry.source = pd.src_desc();
    entry.weights = pd.weights_desc();
    entry.result = pd.dst_desc();
    entry.target =
        Target(entry.result.get_ndims() == static_cast<int>(entry.dims.size()) ? entry.result
                                                                               : entry.result.reshape(entry.dims));
    entry.scratchpad = pd.scratchpad_desc();
    entry.scratch = entry.scratchpad.get_size();
  }

  // Multiplies the weights of each output channel by its scale.
  void scale(float* weights, const ir::Dims& dims) const {
    if (tail_.scale.empty()) return;
    std::int64_t inner = 1;
    for (std::size_t i = 2; i < dims.size(); ++i) inner *= dims[i];
    if (!transposed_) {
      const std::int64_t each = dims[1] * inner;
      for (std::int64_t o = 0; o < dims[0]; ++o) {
        for (std::int64_t i = 0; i < each; ++i) weights[o * each + i] *= tail_.scale[static_cast<std::size_t>(o)];
      }
      return;
    }
    const std::int64_t in = dims[0] / group_;
    for (std::int64_t i = 0; i < dims[0]; ++i) {
      for (std::int64_t o = 0; o < dims[1]; ++o) {
        const float factor = tail_.scale[static_cast<std::size_t>(i / in * dims[1] + o)];
        for (std::int64_t k = 0; k < inner; ++k) weights[(i * dims[1] + o) * inner + k] *= factor;
      }
    }
  }

  const void* pack(const Entry& entry) {
    return packed_.get(entry.weights, entry.plain_weights, [&](std::byte* to) {
      weights_->read(0, {to, weights_->byte_size()});
      scale(reinterpret_cast<float*>(to), weights_->dims());
    });
  }

  const void* scaled(Context& context, const Array& w) const {
    if (tail_.scale.empty()) return w.data;
    std::byte* copy = context.scratch(w.byte_size());
    std::memcpy(copy, w.data, w.byte_size());
    scale(reinterpret_cast<float*>(copy), w.dims);
    return copy;
  }

  const void* bias(Context& context) {
    if (bias_ready_) return bias_buffer_->data();
    const bool given = info_.node.input(2) != nullptr;
    if (given && !bias_ && tail_.scale.empty() && tail_.shift.empty()) return context.input(2).data;
    std::vector<float> values;
    if (bias_) {
      values = bias_->to_floats();
    } else if (given) {
      const auto span = context.input(2).span<float>();
      values.assign(span.begin(), span.end());
    }
    if (values.empty()) values.assign(tail_.shift.size(), 0.0F);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!tail_.scale.empty()) values[i] *= tail_.scale[i];
      if (!tail_.shift.empty()) values[i] += tail_.shift[i];
    }
    const std::uint64_t bytes = values.size() * sizeof(float);
    if (given && !bias_) {
      std::byte* copy = context.scratch(bytes);
      std::memcpy(copy, values.data(), bytes);
      return copy;
    }
    bias_buffer_ = std::make_unique<Buffer>(bytes);
    std::memcpy(bias_buffer_->data(), values.data(), bytes);
    bias_ready_ = true;
    return bias_buffer_->data();
  }

  KernelInfo info_;
  Fallback fallback_;
  bool transposed_;
  FusedTail tail_;
  std::int64_t group_ = 1;
  bool plans_nothing_ = false;
  const ir::Tensor* weights_ = nullptr;
  const ir::Tensor* bias_ = nullptr;
  PackedWeights packed_;
  std::unique_ptr<Buffer> transformed_;  // weights of Winograd's way, for all shapes
  std::unique_ptr<Buffer> direct_weights_;
  std::unique_ptr<Buffer> bias_buffer_;
  bool bias_ready_ = false;
  ShapeCache<Entry> shapes_;
  std::string name_ = "onednn";
};

template <bool Transposed>
std::unique_ptr<Kernel> make_convolution(const KernelInfo& info) {
  const ir::Tensor* weights = info.constant_input(1);
  const ir::ElementType type = weights ? weights->type() : info.input_type(0);
  if (type != ir::ElementType::float32 && type != ir::ElementType::undefined) return nullptr;
  return std::make_unique<Convolution>(info, Transposed);
}

}  // namespace

std::span<const KernelEntry> convolution_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Conv", 1, make_convolution<false>},
      {"ConvTranspose", 1, make_convolution<true>},
      {"Conv", 1, make_convolution<false>, last_version, fused_domain},
      {"ConvTranspose", 1, make_convolution<true>, last_version, fused_domain},
  };
  return entries;
}

}  // namespace hone::exec::onednn
