// MatMul and Gemm in float32. A constant right-hand matrix is packed once; the rows of a batch on the left are then rows
// of one large matrix. Batches on both sides broadcast as oneDNN has it. Where the CPU has no AVX-512, a product with a
// constant matrix runs as a convolution of width 1 over rows, for which oneDNN has faster code (1.3 to 2 times, 3.2).
//
// Given back to the reference kernel: other element types, empty tensors, alpha or beta that no post-op expresses.
#include <cstring>
#include <string_view>

#include "exec/onednn/families.h"
#include "exec/onednn/post_ops.h"
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
    weights_ = info.constant_input(1);
    if (weights_ && weights_->rank() != 2) weights_ = nullptr;
    for (const FusedStep& step : tail_.steps) {
      if (step.kind == FusedStep::Kind::add) sum_ = &step;
    }
  }

  std::string name() const override { return name_; }

  void run(Context& context) override {
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

  Entry plan(const Array& a, const ir::Dims& b_dims, ir::ElementType b_type, const Array* c) {
    Entry entry;
    if (a.type != ir::ElementType::float32 || b_type != ir::ElementType::float32) return entry;
    dnnl::memory::dims a_dims(a.dims), b_sizes(b_dims), out;
    if (gemm_) {
      if (a_dims.size() != 2 || b_sizes.size() != 2) return entry;
      if (transpose_a_) std::swap(a_dims[0], a_dims[1]);
      if (transpose_b_) std::swap(b_sizes[0], b_sizes[1]);
      if (a_dims[1] != b_sizes[0]) return entry;
      entry.dims = out = {a_dims[0], b_sizes[1]};
    } else {
      if (a_dims.empty() || b_sizes.empty()) return entry;
      const bool vector_a = a_dims.size() == 1, vector_b = b_sizes.size() == 1;
      if (vector_a) a_dims.insert(a_dims.begin(), 1);
      if (vector_b) b_sizes.push_back(1);
      if (a_dims.back() != b_sizes[b_sizes.size() - 2]) return entry;
      const std::size_t rank = std::max(a_dims.size(), b_sizes.size());
      if (b_sizes.size() == 2 && a_dims.size() > 2) {
        // One matrix for all: the batch is more rows.
        entry.dims.assign(a_dims.begin(), a_dims.end() - 1);
        std::int64_t rows = 1;
        for (const std::int64_t dim : entry.dims) rows *= dim;
        a_dims = {rows, a_dims.back()};
        out = {rows, b_sizes[1]};
      } else {
        if (rank > 6) return entry;
        a_dims.insert(a_dims.begin(), rank - a_dims.size(), 1);
        b_sizes.insert(b_sizes.begin(), rank - b_sizes.size(), 1);
        for (std::size_t i = 0; i + 2 < rank; ++i) {
          if (a_dims[i] != b_sizes[i] && a_dims[i] != 1 && b_sizes[i] != 1) return entry;
          out.push_back(a_dims[i] == 1 ? b_sizes[i] : a_dims[i]);
        }
        entry.dims.assign(out.begin(), out.end());
        out.push_back(a_dims[rank - 2]);
        out.push_back(b_sizes[rank - 1]);
        if (!vector_a) entry.dims.push_back(a_dims[rank - 2]);
      }
      if (!vector_b) entry.dims.push_back(b_sizes.back());
    }
    for (const dnnl::memory::dims* dims : {&a_dims, &b_sizes}) {
      for (const std::int64_t dim : *dims) {
        if (dim < 1) return entry;
      }
    }
    entry.a = transpose_a_ ? Desc(a_dims, D::f32, {1, a_dims[0]}) : row_major(a_dims);
    entry.plain_b = transpose_b_ ? Desc(b_sizes, D::f32, {1, b_sizes[0]}) : row_major(b_sizes);
    entry.out = row_major(out);

    dnnl::post_ops steps;
    if (alpha_ != 1) steps.append_eltwise(dnnl::algorithm::eltwise_linear, alpha_, 0);
    if (gemm_ && (c || addend_) && beta_ != 0) {
      const ir::Dims& dims = c ? c->dims : addend_->dims();
      if ((c ? c->type : addend_->type()) != ir::ElementType::float32) return entry;
      const std::int64_t count = c ? c->count() : addend_->element_count();
      const bool row = count == out[1] && (dims.size() == 1 || (dims.size() == 2 && dims[0] == 1));
      if (row && alpha_ == 1 && (beta_ == 1 || addend_)) {
        entry.has_bias = true;
      } else if (c && dims == entry.dims && !sum_) {
        steps.append_sum(beta_);
        entry.sums = true;
      } else {
        return entry;
      }
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
    const Workers workers = Workers::for_operations(operations);
    if (weights_ && !transpose_a_ && out.size() == 2 && plan_as_convolution(entry, a_dims, b_sizes, attributes))
      return entry;
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
      const double operations = 2 * static_cast<double>(rows * inner) * static_cast<double>(columns);
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
    return packed_.get(entry.b, entry.plain_b, [&](std::byte* to) {
      weights_->read(0, {to, weights_->byte_size()});
      if (tail_.scale.empty()) return;
      auto* values = reinterpret_cast<float*>(to);
      const std::int64_t rows = weights_->dims()[0], columns = weights_->dims()[1];
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t n = 0; n < columns; ++n)
          values[r * columns + n] *= tail_.scale[static_cast<std::size_t>(transpose_b_ ? r : n)];
      }
    });
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
  bool transpose_a_ = false, transpose_b_ = false;
  float alpha_ = 1, beta_ = 1;
  const ir::Tensor* weights_ = nullptr;
  const ir::Tensor* addend_ = nullptr;
  PackedWeights packed_;
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

constexpr auto any_version = std::numeric_limits<std::int64_t>::max();
constexpr KernelEntry entries[] = {
    {"MatMul", 1, make_product<false>},
    {"Gemm", 7, make_product<true>},
    {"MatMul", 1, make_product<false>, any_version, fused_domain},
    {"Gemm", 1, make_product<true>, any_version, fused_domain},
};

}  // namespace

std::span<const KernelEntry> matmul_kernels() { return entries; }

}  // namespace hone::exec::onednn
