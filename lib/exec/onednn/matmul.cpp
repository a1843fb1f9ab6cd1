// MatMul and Gemm in float32. A constant right-hand matrix is packed once; the rows of a batch on the left are then rows
// of one large matrix. Batches on both sides broadcast. Where the CPU has no AVX-512, a product with a constant matrix runs as a
// convolution of width 1 over rows, for which oneDNN has faster code (1.3 to 2 times, 3.2); in models whose sizes may change
// from run to run, all but large products are our own there (exec/onednn/panels.h), a few percent slower and without a plan for a shape.
//
// Given back to the reference kernel: other element types, empty tensors, alpha or beta that no post-op expresses.
#include <cstring>
#include <string_view>

#include "exec/onednn/avx2.h"
#include "exec/onednn/families.h"
#include "exec/onednn/post_ops.h"
#include "exec/onednn/stacks.h"
#include "hone/ir/dimension.h"

namespace hone::exec::onednn {
namespace {

using D = dnnl::memory::data_type;

class Product final : public Kernel {
 public:
  Product(const KernelInfo& info, bool gemm)
      : fallback_(info), node_(info.node), gemm_(gemm), tail_(read_tail(info.node)) {
    if (gemm_) {
      transpose_a_ = node_.int_or("transA", 0) != 0;
      transpose_b_ = node_.int_or("transB", 0) != 0;
      alpha_ = node_.float_or("alpha", 1);
      beta_ = node_.float_or("beta", 1);
      addend_ = info.constant_input(2);
    }
    plans_nothing_ = has_avx2() && sizes_may_change(info.model);
    constant_ = info.constant_input(1);
    weights_ = constant_ && constant_->rank() == 2 ? constant_ : nullptr;
    for (const FusedStep& step : tail_.steps) {
      if (step.kind == FusedStep::Kind::add) sum_ = &step;
    }
    if (alpha_ != 1) steps_.push_back({FusedStep::Kind::linear, alpha_, 0, 0});
    steps_with_sum_ = steps_;
    steps_with_sum_.push_back({FusedStep::Kind::add, 0, 0, 2});
    for (std::vector<FusedStep>* steps : {&steps_, &steps_with_sum_})
      steps->insert(steps->end(), tail_.steps.begin(), tail_.steps.end());
  }

  std::string name() const override { return name_; }

  void run(Context& context) override {
    if (plans_nothing_ && run_own(context)) return;
    const Array& a = context.input(0);
    const Array* b = weights_ ? nullptr : &context.input(1);
    const Array* c = gemm_ && context.has_input(2) && !addend_ ? &context.input(2) : nullptr;
    shapes_.begin_key();
    shapes_.add(a);
    if (b) shapes_.add(*b);
    if (c) shapes_.add(*c);
    Entry* entry = shapes_.find();
    if (!entry) {
      const ir::Dims dims = b ? b->dims : weights_->dims();
      entry = &shapes_.insert(guarded([&] { return plan(a, dims, b ? b->type : weights_->type(), c); }), {});
    }
    if (!entry->call || !fits(context, *entry)) {
      name_ = "reference";
      fallback_.run(context);
      return;
    }
    Array* out = nullptr;
    const std::size_t summed = sum_ ? sum_->input : 2;
    if (entry->sums) {
      const std::byte* data = context.input(summed).data;
      out = &context.output_over(0, summed, ir::ElementType::float32, entry->dims);
      if (out->data != data) std::memcpy(out->data, data, out->byte_size());
    } else {
      out = &context.output(0, ir::ElementType::float32, entry->dims);
    }
    Call& call = entry->call;
    call.bind(DNNL_ARG_SRC, entry->a, a.data);
    if (b) {
      call.bind(DNNL_ARG_WEIGHTS, entry->b, b->data);
    } else {
      if (!entry->packed) entry->packed = pack(*entry);
      call.bind(DNNL_ARG_WEIGHTS, entry->b, entry->packed);
    }
    if (entry->has_bias) call.bind(DNNL_ARG_BIAS, entry->bias, bias(c));
    call.bind(DNNL_ARG_DST, entry->out, out->data);
    if (entry->scratch > 0) call.bind(DNNL_ARG_SCRATCHPAD, entry->scratchpad, context.scratch(entry->scratch));
    call.run();
  }

 private:
  struct Entry {
    Call call;
    Desc a, b, plain_b, bias, out, scratchpad;
    ir::Dims dims;
    bool has_bias = false, sums = false;
    std::uint64_t scratch = 0;
    const void* packed = nullptr;
  };

  bool fits(Context& context, const Entry& entry) const {
    if (!sum_) return true;
    const Array& other = context.raw_input(sum_->input);
    return other.type == ir::ElementType::float32 && other.dims == entry.dims;
  }

  // The matrices that are multiplied, and the dimensions of the result; false where they don't fit, or hold nothing.
  bool geometry(const ir::Dims& a_dims, const ir::Dims& b_dims, StackShape& g, ir::Dims& result) const {
    g.a.assign(a_dims.begin(), a_dims.end());
    g.b.assign(b_dims.begin(), b_dims.end());
    g.transpose_a = transpose_a_;
    g.transpose_b = transpose_b_;
    if (gemm_) {
      if (g.a.size() != 2 || g.b.size() != 2) return false;
      if (transpose_a_) std::swap(g.a[0], g.a[1]);
      if (transpose_b_) std::swap(g.b[0], g.b[1]);
      g.out = {g.a[0], g.b[1]};
      result.assign(g.out.begin(), g.out.end());
    } else {
      if (g.a.empty() || g.b.empty()) return false;
      const bool vector_a = g.a.size() == 1, vector_b = g.b.size() == 1;
      if (vector_a) g.a.insert(g.a.begin(), 1);
      if (vector_b) g.b.push_back(1);
      const std::size_t rank = std::max(g.a.size(), g.b.size());
      if (g.b.size() == 2 && g.a.size() > 2) {
        // One matrix for all: the batch is more rows.
        result.assign(g.a.begin(), g.a.end() - 1);
        std::int64_t rows = 1;
        for (const std::int64_t dim : result) rows *= dim;
        g.a = {rows, g.a.back()};
        g.out = {rows, g.b[1]};
      } else {
        g.a.insert(g.a.begin(), rank - g.a.size(), 1);
        g.b.insert(g.b.begin(), rank - g.b.size(), 1);
        for (std::size_t i = 0; i + 2 < rank; ++i) {
          if (g.a[i] != g.b[i] && g.a[i] != 1 && g.b[i] != 1) return false;
          g.out.push_back(g.a[i] == 1 ? g.b[i] : g.a[i]);
        }
        result.assign(g.out.begin(), g.out.end());
        g.out.push_back(g.a[rank - 2]);
        g.out.push_back(g.b[rank - 1]);
        if (!vector_a) result.push_back(g.a[rank - 2]);
      }
      if (!vector_b) result.push_back(g.b.back());
    }
    if (g.a.back() != g.b[g.b.size() - 2]) return false;
    for (const auto* dims : {&g.a, &g.b}) {
      for (const std::int64_t dim : *dims) {
        if (dim < 1) return false;
      }
    }
    return true;
  }

  // What Gemm adds to a product.
  enum class Addend { none, row, matrix, other };
  Addend addend_of(const Array* c, const ir::Dims& result) const {
    if (!gemm_ || (!c && !addend_) || beta_ == 0) return Addend::none;
    const ir::Dims& dims = c ? c->dims : addend_->dims();
    if ((c ? c->type : addend_->type()) != ir::ElementType::float32) return Addend::other;
    const std::int64_t count = c ? c->count() : addend_->element_count();
    const bool row = count == result[1] && (dims.size() == 1 || (dims.size() == 2 && dims[0] == 1));
    if (row && alpha_ == 1 && (beta_ == 1 || addend_)) return Addend::row;
    return c && dims == result && !sum_ ? Addend::matrix : Addend::other;
  }

  // On panels; false where that is not for these inputs.
  bool run_own(Context& context) {
    const Array& a = context.input(0);
    const Array* b = constant_ ? nullptr : &context.input(1);
    const Array* c = gemm_ && context.has_input(2) && !addend_ ? &context.input(2) : nullptr;
    const ir::ElementType b_type = b ? b->type : constant_->type();
    if (a.type != ir::ElementType::float32 || b_type != ir::ElementType::float32) return false;
    StackShape shape;
    ir::Dims result;
    if (!geometry(a.dims, b ? b->dims : constant_->dims(), shape, result)) return false;
    double operations = 2 * static_cast<double>(shape.depth());
    for (const std::int64_t dim : shape.out) operations *= static_cast<double>(dim);
    if (seconds_of(operations) > most_unplanned) return false;
    const Addend addend = addend_of(c, result);
    if (addend == Addend::other || (addend == Addend::matrix && beta_ != 1)) return false;
    std::size_t summed = 2;
    const Array* held = addend == Addend::matrix ? c : nullptr;
    if (sum_) {
      summed = sum_->input;
      held = &context.input(summed);
      if (held->type != ir::ElementType::float32 || held->dims != result) return false;
    }
    const auto *left = a.as<float>(), *right = b ? b->as<float>() : nullptr;
    Results to;
    to.bias = addend == Addend::row || !tail_.shift.empty() ? static_cast<const float*>(bias(c)) : nullptr;
    to.held = held ? held->as<float>() : nullptr;
    to.steps = addend == Addend::matrix ? &steps_with_sum_ : &steps_;
    Array& out = held && !keeps_sums(shape.depth()) ? context.output_over(0, summed, ir::ElementType::float32, result)
                                                    : context.output(0, ir::ElementType::float32, result);
    to.data = out.as<float>();
    multiply_stacks(context, shape, left, right, constant_ ? panels(shape) : nullptr, to);
    name_ = fmt::format("panels:{}", widest_isa());
    return true;
  }

  // The constant right-hand side.
  const float* panels(const StackShape& shape) {
    if (!panels_) {
      Buffer plain(constant_->byte_size());
      read_weights(*constant_, plain.data());
      panels_ = std::make_unique<Buffer>(stack_bytes(shape));
      fill_stack(shape, reinterpret_cast<const float*>(plain.data()), reinterpret_cast<float*>(panels_->data()));
    }
    return reinterpret_cast<const float*>(panels_->data());
  }

  Entry plan(const Array& a, const ir::Dims& b_dims, ir::ElementType b_type, const Array* c) {
    Entry entry;
    if (a.type != ir::ElementType::float32 || b_type != ir::ElementType::float32) return entry;
    StackShape shape;
    if (!geometry(a.dims, b_dims, shape, entry.dims) || shape.out.size() > 6) return entry;
    const dnnl::memory::dims &a_dims = shape.a, &b_sizes = shape.b, &out = shape.out;
    entry.a = transpose_a_ ? Desc(a_dims, D::f32, {1, a_dims[0]}) : row_major(a_dims);
    entry.plain_b = transpose_b_ ? Desc(b_sizes, D::f32, {1, b_sizes[0]}) : row_major(b_sizes);
    entry.out = row_major(out);

    dnnl::post_ops steps;
    if (alpha_ != 1) steps.append_eltwise(dnnl::algorithm::eltwise_linear, alpha_, 0);
    const Addend addend = addend_of(c, entry.dims);
    if (addend == Addend::other) return entry;
    if (addend == Addend::row) entry.has_bias = true;
    if (addend == Addend::matrix) {
      steps.append_sum(beta_);
      entry.sums = true;
    }
    if (!tail_.shift.empty()) entry.has_bias = true;
    if (entry.has_bias) entry.bias = bias_desc(out);
    if (sum_) entry.sums = true;
    const dnnl::post_ops tail = post_ops(tail_.steps);
    for (int i = 0; i < tail.len(); ++i) copy_post_op(tail, i, steps);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    attributes.set_post_ops(steps);
    double operations = 2 * static_cast<double>(a_dims.back());
    for (const std::int64_t dim : out) operations *= static_cast<double>(dim);
    if (weights_ && !transpose_a_ && out.size() == 2 && plan_as_convolution(entry, a_dims, b_sizes, attributes))
      return entry;
    const Workers workers = Workers::for_operations(operations);
    try {
      const Desc b = weights_ ? any_layout(b_sizes) : entry.plain_b;
      const dnnl::matmul::primitive_desc pd =
          entry.has_bias ? dnnl::matmul::primitive_desc(engine(), entry.a, b, entry.bias, entry.out, attributes)
                         : dnnl::matmul::primitive_desc(engine(), entry.a, b, entry.out, attributes);
      entry.b = pd.weights_desc();
      entry.scratchpad = pd.scratchpad_desc();
      entry.scratch = entry.scratchpad.get_size();
      entry.call = Call(dnnl::matmul(pd));
      name_ = kernel_name(pd);
    } catch (const dnnl::error&) {
      return {};
    }
    return entry;
  }

  // Rows are places, columns channels: row-major memory is what convolutions call channels last.
  bool plan_as_convolution(Entry& entry, const dnnl::memory::dims& a, const dnnl::memory::dims& b,
                           const dnnl::primitive_attr& attributes) {
    const std::int64_t rows = a[0], inner = a[1], columns = b[1];
    // A single row is bound by reading the matrix; few columns don't fill a register.
    if (rows < 2 || inner < 8 || columns < 8) return false;
    const double operations = 2 * static_cast<double>(rows * inner) * static_cast<double>(columns);
    const Workers workers = Workers::for_asking(operations);
    try {
      const Desc source({1, inner, rows}, D::f32, dnnl::memory::dims{rows * inner, 1, inner});
      const Desc target({1, columns, rows}, D::f32, dnnl::memory::dims{rows * columns, 1, columns});
      const Desc bias = entry.has_bias ? Desc({columns}, D::f32, dnnl::memory::format_tag::x) : Desc();
      const auto make = [=] {
        return dnnl::convolution_forward::primitive_desc(
            engine(), dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, source,
            any_layout(std::vector<std::int64_t>{columns, inner, 1}), bias, target, {1}, {0}, {0}, {0}, attributes);
      };
      const auto pd = choose(make, columns);
      if (std::string_view(pd.impl_info_str()) != "jit_1x1:avx2") return false;
      entry.a = source;
      entry.out = target;
      entry.bias = bias;
      entry.b = pd.weights_desc();
      entry.plain_b = Desc({columns, inner, 1}, D::f32,
                           transpose_b_ ? dnnl::memory::dims{inner, 1, 1} : dnnl::memory::dims{1, columns, 1});
      entry.scratchpad = pd.scratchpad_desc();
      entry.scratch = entry.scratchpad.get_size();
      entry.call = Call(dnnl::convolution_forward(pd));
      entry.call.allow_serial(seconds_of(operations), [make, pd, columns] {
        const auto other = choose(make, columns);
        return is_alike(pd, other) ? dnnl::convolution_forward(other) : dnnl::primitive();
      });
      name_ = kernel_name(pd);
      return true;
    } catch (const dnnl::error&) {
      return false;  // the matrix product then
    }
  }

  // One value a column, the same in every row.
  static Desc bias_desc(const dnnl::memory::dims& out) {
    const std::int64_t columns = out.back();
    dnnl::memory::dims dims, strides;
    for (std::size_t i = 1; i < out.size(); ++i) {
      dims.push_back(1);
      strides.push_back(columns);
    }
    dims.push_back(columns);
    strides.push_back(1);
    return Desc(dims, D::f32, strides);
  }
  static void copy_post_op(const dnnl::post_ops& from, int index, dnnl::post_ops& to) {
    if (from.kind(index) == dnnl::primitive::kind::sum) {
      to.append_sum(1.0F);
      return;
    }
    dnnl::algorithm algorithm;
    float alpha = 0, beta = 0;
    from.get_params_eltwise(index, algorithm, alpha, beta);
    to.append_eltwise(algorithm, alpha, beta);
  }

  const void* pack(const Entry& entry) {
    return packed_.get(entry.b, entry.plain_b, [&](std::byte* to) { read_weights(*weights_, to); });
  }

  void read_weights(const ir::Tensor& tensor, std::byte* to) const {
    tensor.read(0, {to, tensor.byte_size()});
    if (tail_.scale.empty()) return;  // only for a matrix
    auto* values = reinterpret_cast<float*>(to);
    const std::int64_t rows = tensor.dims()[0], columns = tensor.dims()[1];
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t n = 0; n < columns; ++n)
        values[r * columns + n] *= tail_.scale[static_cast<std::size_t>(transpose_b_ ? r : n)];
    }
  }

  const void* bias(const Array* c) {
    if (c && tail_.shift.empty()) return c->data;
    if (bias_) return bias_->data();
    std::vector<float> values = addend_ ? addend_->to_floats() : std::vector<float>(tail_.shift.size(), 0.0F);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] *= beta_;
      if (!tail_.scale.empty()) values[i] *= tail_.scale[i];
      if (!tail_.shift.empty()) values[i] += tail_.shift[i];
    }
    bias_ = std::make_unique<Buffer>(values.size() * sizeof(float));
    std::memcpy(bias_->data(), values.data(), values.size() * sizeof(float));
    return bias_->data();
  }

  Fallback fallback_;
  const ir::Node& node_;
  bool gemm_;
  FusedTail tail_;
  const FusedStep* sum_ = nullptr;
  bool transpose_a_ = false, transpose_b_ = false, plans_nothing_ = false;
  float alpha_ = 1, beta_ = 1;
  const ir::Tensor* constant_ = nullptr;  // the right-hand side
  const ir::Tensor* weights_ = nullptr;   // the same where it is one matrix
  const ir::Tensor* addend_ = nullptr;
  std::vector<FusedStep> steps_, steps_with_sum_;  // alpha and the tail; and with a matrix that Gemm adds
  PackedWeights packed_;
  std::unique_ptr<Buffer> panels_;
  std::unique_ptr<Buffer> bias_;
  ShapeCache<Entry> shapes_;
  std::string name_ = "onednn";
};

template <bool Gemm>
std::unique_ptr<Kernel> make_product(const KernelInfo& info) {
  const ir::Tensor* weights = info.constant_input(1);
  ir::ElementType type = weights ? weights->type() : info.input_type(1);
  if (type == ir::ElementType::undefined) type = info.input_type(0);
  if (type != ir::ElementType::float32 && type != ir::ElementType::undefined) return nullptr;
  return std::make_unique<Product>(info, Gemm);
}

}  // namespace

std::span<const KernelEntry> matmul_kernels() {
  static constexpr KernelEntry entries[] = {
      {"MatMul", 1, make_product<false>},
      {"Gemm", 7, make_product<true>},
      {"MatMul", 1, make_product<false>, last_version, fused_domain},
      {"Gemm", 1, make_product<true>, last_version, fused_domain},
  };
  return entries;
}

}  // namespace hone::exec::onednn
