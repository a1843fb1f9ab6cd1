// Elementwise operators in float32, in whatever layout their input has: between convolutions nothing is unpacked. Also the
// functions that oneDNN computes on vector registers and the standard library does not.
//
// Left to the reference kernel at run time: other element types; two operands that are both row-major (nothing to gain);
// operands that broadcast in a way oneDNN has no fast code for. Softplus, which oneDNN rounds to 1 % near -10.
#include <algorithm>
#include <cstring>

#include "exec/fuse.h"
#include "exec/onednn/avx2.h"
#include "exec/onednn/families.h"
#include "exec/onednn/runtime.h"
#include "hone/ir/dimension.h"

namespace hone::exec::onednn {
namespace {

using Algorithm = dnnl::algorithm;

struct Function {
  Algorithm algorithm;
  float alpha = 0, beta = 0;
  bool worth_it_row_major = true;
};

std::optional<Function> function_of(const ir::Node& node) {
  const std::string& op = node.op_type();
  if (op == "Relu") return Function{Algorithm::eltwise_relu, 0, 0, false};
  if (op == "LeakyRelu") return Function{Algorithm::eltwise_relu, node.float_or("alpha", 0.01F), 0, false};
  if (op == "Sigmoid") return Function{Algorithm::eltwise_logistic};
  if (op == "Tanh") return Function{Algorithm::eltwise_tanh};
  if (op == "Exp") return Function{Algorithm::eltwise_exp};
  if (op == "Elu") return Function{Algorithm::eltwise_elu, node.float_or("alpha", 1.0F)};
  if (op == "HardSigmoid")
    return Function{Algorithm::eltwise_hardsigmoid, node.float_or("alpha", 0.2F), node.float_or("beta", 0.5F), false};
  if (op == "HardSwish") return Function{Algorithm::eltwise_hardswish, 1.0F / 6, 0.5F, false};
  if (op == "Gelu") {
    return Function{node.string_or("approximate", "none") == "tanh" ? Algorithm::eltwise_gelu_tanh
                                                                    : Algorithm::eltwise_gelu_erf};
  }
  return std::nullopt;
}

// The first output in the shape and layout of the first input, in its memory where nobody else needs that.
Array& output_like(Context& context, const Array& x) {
  const std::shared_ptr<const Layout> layout = x.layout;
  const ir::Dims dims = x.dims;
  return layout ? context.output_over_with_layout(0, 0, ir::ElementType::float32, dims, layout)
                : context.output_over(0, 0, ir::ElementType::float32, dims);
}

class Unary final : public Kernel {
 public:
  Unary(const KernelInfo& info, Function function) : fallback_(info), function_(function) {}

  std::string name() const override { return name_; }

  void run(Context& context) override {
    const Array& x = context.raw_input(0);
    if (x.type != ir::ElementType::float32 || (!x.layout && !function_.worth_it_row_major) || x.count() == 0) {
      fallback_.run(context);
      return;
    }
    Entry& entry = shapes_.of(x, [&](const Array& array) { return plan(array); });
    const std::byte* data = x.data;
    Array& out = output_like(context, x);
    entry.call.bind(DNNL_ARG_SRC, entry.desc, data);
    entry.call.bind(DNNL_ARG_DST, entry.desc, out.data);
    entry.call.run();
  }

 private:
  struct Entry {
    Call call;
    Desc desc;
  };
  Entry plan(const Array& x) {
    Entry entry;
    // Row-major memory is one long row.
    entry.desc = x.layout ? desc_of(x) : Desc({x.count()}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a);
    const Workers workers = Workers::for_bytes(2 * static_cast<double>(entry.desc.get_size()));
    const dnnl::eltwise_forward::primitive_desc pd(engine(), dnnl::prop_kind::forward_inference, function_.algorithm,
                                                   entry.desc, entry.desc, function_.alpha, function_.beta);
    entry.call = Call(dnnl::eltwise_forward(pd));
    name_ = kernel_name(pd);
    return entry;
  }

  Fallback fallback_;
  Function function_;
  ShapeCache<Entry> shapes_;
  std::string name_ = "onednn";
};

std::unique_ptr<Kernel> make_unary(const KernelInfo& info) {
  const ir::ElementType type = info.input_type(0);
  if (type != ir::ElementType::float32 && type != ir::ElementType::undefined) return nullptr;
  const auto function = function_of(info.node);
  return function ? std::make_unique<Unary>(info, *function) : nullptr;
}

class Binary final : public Kernel {
 public:
  Binary(const KernelInfo& info, Algorithm algorithm) : fallback_(info), algorithm_(algorithm) {}

  std::string name() const override { return name_; }

  void run(Context& context) override {
    if (!context.is_tensor(0) || !context.is_tensor(1)) {
      fallback_.run(context);
      return;
    }
    const Array& a = context.raw_input(0);
    const Array& b = context.raw_input(1);
    if (!a.layout && !b.layout) {
      fallback_.run(context);
      return;
    }
    shapes_.begin_key();
    shapes_.add(a);
    shapes_.add(b);
    Entry* entry = shapes_.find();
    if (!entry) entry = &shapes_.insert(guarded([&] { return plan(a, b); }), {a.layout, b.layout});
    if (!entry->call) {
      name_ = "reference";
      fallback_.run(context);
      return;
    }
    const void* left = entry->left.get(context, a.data);
    const void* right = entry->right.get(context, b.data);
    const std::size_t over = a.layout == entry->target.layout && a.dims == entry->dims ? 0 : 1;
    Array& out = entry->over ? context.output_over_with_layout(0, over, ir::ElementType::float32, entry->dims,
                                                               entry->target.layout)
                             : entry->target.output(context, 0, entry->dims);
    entry->call.bind(DNNL_ARG_SRC_0, entry->left_desc, entry->swapped ? right : left);
    entry->call.bind(DNNL_ARG_SRC_1, entry->right_desc, entry->swapped ? left : right);
    entry->call.bind(DNNL_ARG_DST, entry->target.desc, out.data);
    entry->call.run();
  }

 private:
  struct Entry {
    Call call;
    Adapter left, right;
    Desc left_desc, right_desc;
    Target target;
    ir::Dims dims;
    bool over = false, swapped = false;
  };

  Entry plan(const Array& a, const Array& b) {
    Entry entry;
    if (a.type != ir::ElementType::float32 || b.type != ir::ElementType::float32) return entry;
    // One of them has the shape of the result and a layout of its own, which the result takes over.
    const auto covers = [](const Array& x, const Array& y) {
      if (!x.layout || y.rank() > x.rank()) return false;
      for (std::size_t i = 0; i < y.rank(); ++i) {
        const std::int64_t dim = y.dims[y.rank() - 1 - i];
        if (dim != 1 && dim != x.dims[x.rank() - 1 - i]) return false;
      }
      return true;
    };
    const bool left = covers(a, b), right = covers(b, a);
    if (!left && !right) return entry;
    const Array& main = left ? a : b;
    const Array& other = left ? b : a;
    if (!left && algorithm_ != Algorithm::binary_add && algorithm_ != Algorithm::binary_mul) return entry;
    entry.swapped = !left;
    entry.dims = main.dims;
    const Desc desc = desc_of(main);
    ir::Dims padded(main.rank() - other.rank(), 1);
    padded.insert(padded.end(), other.dims.begin(), other.dims.end());
    Desc other_desc = other.layout && other.rank() == main.rank() ? desc_of(other) : row_major(padded);
    if (other.layout && other.rank() != main.rank()) return entry;
    Adapter adapter;
    if (padded == main.dims && other_desc != desc) {
      adapter = Adapter(other_desc, desc);
      other_desc = desc;
    }
    const Workers workers = Workers::for_bytes(3 * static_cast<double>(desc.get_size()));
    try {
      const dnnl::binary::primitive_desc pd(engine(), algorithm_, desc, other_desc, desc);
      if (std::strstr(pd.impl_info_str(), "ref")) return {};
      entry.call = Call(dnnl::binary(pd));
      name_ = kernel_name(pd);
    } catch (const dnnl::error&) {
      return {};
    }
    (left ? entry.right : entry.left) = std::move(adapter);
    entry.left_desc = desc;
    entry.right_desc = other_desc;
    entry.target = Target(desc);
    entry.over = entry.target.layout != nullptr;
    return entry;
  }

  Fallback fallback_;
  Algorithm algorithm_;
  ShapeCache<Entry> shapes_;
  std::string name_ = "reference";
};

template <Algorithm algorithm>
std::unique_ptr<Kernel> make_binary(const KernelInfo& info) {
  for (const std::size_t i : {0, 1}) {
    const ir::ElementType type = info.input_type(i);
    if (type != ir::ElementType::float32 && type != ir::ElementType::undefined) return nullptr;
    const ir::Tensor* tensor = info.constant_input(i);
    if (tensor && tensor->type() != ir::ElementType::float32) return nullptr;
  }
  return std::make_unique<Binary>(info, algorithm);
}

// PRelu with a constant slope for each channel, or one for all, in the layout of its input.
class ChannelRelu final : public Kernel {
 public:
  ChannelRelu(const KernelInfo& info, const ir::Tensor& slope) : fallback_(info), slope_(slope) {}

  std::string name() const override { return name_; }

  void run(Context& context) override {
    const Array& x = context.raw_input(0);
    Entry& entry = shapes_.of(x, [&](const Array& array) { return plan(array); });
    if (!entry.call) {
      name_ = "reference";
      fallback_.run(context);
      return;
    }
    const std::byte* data = x.data;
    Array& out = output_like(context, x);
    entry.call.bind(DNNL_ARG_SRC, entry.desc, data);
    entry.call.bind(DNNL_ARG_WEIGHTS, entry.slope, entry.packed);
    entry.call.bind(DNNL_ARG_DST, entry.desc, out.data);
    entry.call.run();
  }

 private:
  struct Entry {
    Call call;  // empty: the reference kernel takes this shape
    Desc desc, slope;
    const void* packed = nullptr;
  };
  // Whether the slope has one value a channel: [C, 1, 1 ...], perhaps with a 1 before it.
  bool is_by_channel(const ir::Dims& dims) const {
    const ir::Dims& slope = slope_.dims();
    if (slope.size() + 1 != dims.size() && slope.size() != dims.size()) return false;
    ir::Dims expected(slope.size(), 1);
    expected[slope.size() + 1 - dims.size()] = dims[1];
    return slope == expected;
  }
  Entry plan(const Array& x) {
    Entry entry;
    if (x.type != ir::ElementType::float32 || x.rank() < 3 || x.rank() > 5 || x.count() == 0 || !is_by_channel(x.dims))
      return entry;
    ir::Dims dims(x.rank(), 1);
    dims[1] = x.dims[1];
    entry.desc = desc_of(x);
    const Workers workers = Workers::for_bytes(2 * static_cast<double>(entry.desc.get_size()));
    try {
      const dnnl::prelu_forward::primitive_desc pd(engine(), dnnl::prop_kind::forward_inference, entry.desc,
                                                   any_layout(dims), entry.desc);
      entry.slope = pd.weights_desc();
      entry.call = Call(dnnl::prelu_forward(pd));
      name_ = kernel_name(pd);
    } catch (const dnnl::error&) {
      return {};
    }
    entry.packed = packed_.get(entry.slope, row_major(dims), [&](std::byte* to) {
      slope_.read(0, {to, slope_.byte_size()});
    });
    return entry;
  }

  Fallback fallback_;
  const ir::Tensor& slope_;
  PackedWeights packed_;
  ShapeCache<Entry> shapes_;
  std::string name_ = "onednn";
};

std::unique_ptr<Kernel> make_channel_relu(const KernelInfo& info) {
  const ir::ElementType type = info.input_type(0);
  if (type != ir::ElementType::float32 && type != ir::ElementType::undefined) return nullptr;
  const ir::Tensor* slope = info.constant_input(1);
  if (!slope || slope->type() != ir::ElementType::float32) return nullptr;
  return std::make_unique<ChannelRelu>(info, *slope);
}

}  // namespace

std::span<const KernelEntry> elementwise_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Relu", 1, make_unary},
      {"LeakyRelu", 6, make_unary},
      {"Sigmoid", 6, make_unary},
      {"Tanh", 6, make_unary},
      {"Exp", 6, make_unary},
      {"Elu", 6, make_unary},
      {"HardSigmoid", 6, make_unary},
      {"HardSwish", 14, make_unary},
      {"Gelu", 20, make_unary},
      {"PRelu", 7, make_channel_relu},
      {"Add", 7, make_binary<Algorithm::binary_add>},
      {"Sub", 7, make_binary<Algorithm::binary_sub>},
      {"Mul", 7, make_binary<Algorithm::binary_mul>},
      {"Div", 7, make_binary<Algorithm::binary_div>},
  };
  return entries;
}

}  // namespace hone::exec::onednn
