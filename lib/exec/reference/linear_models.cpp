// ai.onnx.ml: LinearClassifier LinearRegressor SVMClassifier SVMRegressor.
//
// Sums are in double. Where ONNX leaves open what a classifier with one score for two labels shows, it is what ONNX
// Runtime shows.

#include "exec/reference/classes.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

// x W^T + b for each row; f(row, scores).
template <typename F>
void for_each_score(Context& context, const std::vector<float>& weights, const std::vector<float>& intercepts,
                    std::size_t targets, const F& f) {
  const Array& in = context.input(0);
  const Features features(in);
  if (weights.size() != targets * static_cast<std::size_t>(features.width)) {
    bad_input("{} coefficients for {} features and {} targets", weights.size(), features.width, targets);
  }
  if (!intercepts.empty() && intercepts.size() != targets)
    bad_input("{} intercepts for {} targets", intercepts.size(), targets);
  const double* x = view<double>(context, in);
  parallel_for(features.rows, grain_for(static_cast<double>(weights.size())),
               [&](std::int64_t begin, std::int64_t end) {
                 std::vector<float> scores(targets);
                 for (std::int64_t r = begin; r < end; ++r) {
                   for (std::size_t t = 0; t < targets; ++t) {
                     double sum = intercepts.empty() ? 0 : static_cast<double>(intercepts[t]);
                     for (std::int64_t i = 0; i < features.width; ++i) {
                       sum += x[r * features.width + i] *
                              static_cast<double>(
                                  weights[t * static_cast<std::size_t>(features.width) + static_cast<std::size_t>(i)]);
                     }
                     scores[t] = static_cast<float>(sum);
                   }
                   f(r, scores);
                 }
               });
}

void linear_regressor(Context& context) {
  const ir::Node& node = context.node();
  const std::int64_t targets = node.int_or("targets", 1);
  if (targets < 1) bad_input("targets is {}", targets);
  const PostTransform transform = post_transform_of(node);
  float* out = context.output(0, ir::ElementType::float32, {Features(context.input(0)).rows, targets}).as<float>();
  for_each_score(context, node.floats_or("coefficients", {}), node.floats_or("intercepts", {}),
                 static_cast<std::size_t>(targets), [&](std::int64_t row, std::vector<float>& scores) {
                   post_transform(scores.data(), scores.size(), transform);
                   std::copy(scores.begin(), scores.end(), out + row * targets);
                 });
}

void linear_classifier(Context& context) {
  const ir::Node& node = context.node();
  const PostTransform transform = post_transform_of(node);
  const Features features(context.input(0));
  const std::vector<float> weights = node.floats_or("coefficients", {}), intercepts = node.floats_or("intercepts", {});
  Labels labels(node, "classlabels_ints", "classlabels_strings");
  const std::size_t targets = !intercepts.empty()  ? intercepts.size()
                              : features.width > 0 ? weights.size() / static_cast<std::size_t>(features.width)
                                                   : 0;
  if (targets == 0) bad_input("no coefficients");
  const bool pair = targets == 1 && labels.count() == 2;
  if (!pair && targets > 1 && labels.count() > 0 && labels.count() < targets)
    bad_input("{} labels for {} classes", labels.count(), targets);
  labels.begin(context, features.rows);
  const auto width = static_cast<std::int64_t>(pair ? 2 : targets);
  float* out = context.output(1, ir::ElementType::float32, {features.rows, width}).as<float>();
  for_each_score(context, weights, intercepts, targets, [&](std::int64_t row, std::vector<float> scores) {
    if (pair) {
      const float score = scores[0];
      labels.set(row, score > 0 ? 1 : 0);
      scores = {-score, score};
      if (transform == PostTransform::logistic)
        scores = {logistic(-score), logistic(score)};
      else
        post_transform(scores.data(), 2, transform);
    } else {
      if (targets == 1) {
        labels.set_single(row, scores[0] > 0);
      } else {
        labels.set(row, static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin()));
      }
      post_transform(scores.data(), scores.size(), transform);
    }
    std::copy(scores.begin(), scores.end(), out + row * width);
  });
}

// The kernel functions of support vector machines.
struct SvmKernel {
  std::string type;
  double gamma = 0, coef0 = 0, degree = 0;

  explicit SvmKernel(const ir::Node& node) : type(node.string_or("kernel_type", "LINEAR")) {
    if (type != "LINEAR" && type != "POLY" && type != "RBF" && type != "SIGMOID")
      bad_input("kernel_type is {}", quote(type));
    const std::vector<float> params = node.floats_or("kernel_params", {});
    if (params.empty()) return;
    if (params.size() != 3) bad_input("{} kernel_params", params.size());
    gamma = static_cast<double>(params[0]);
    coef0 = static_cast<double>(params[1]);
    degree = static_cast<double>(params[2]);
  }
  double operator()(const double* x, const float* y, std::int64_t count) const {
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const double b = static_cast<double>(y[i]);
      sum += type == "RBF" ? (x[i] - b) * (x[i] - b) : x[i] * b;
    }
    if (type == "RBF") return std::exp(-gamma * sum);
    if (type == "POLY") return std::pow(gamma * sum + coef0, degree);
    if (type == "SIGMOID") return std::tanh(gamma * sum + coef0);
    return sum;
  }
};

void svm_regressor(Context& context) {
  const ir::Node& node = context.node();
  const Features features(context.input(0));
  const SvmKernel kernel(node);
  const std::vector<float> coefficients = node.floats_or("coefficients", {}),
                           vectors = node.floats_or("support_vectors", {}), rho = node.floats_or("rho", {});
  const std::int64_t supports = node.int_or("n_supports", 0);
  if (supports < 0 || rho.empty()) bad_input("{} support vectors and {} rho", supports, rho.size());
  const auto n = static_cast<std::size_t>(supports > 0 ? supports : features.width);
  if (coefficients.size() < n || (supports > 0 && vectors.size() != n * static_cast<std::size_t>(features.width))) {
    bad_input("{} coefficients and {} numbers of support vectors for {} features", coefficients.size(), vectors.size(),
              features.width);
  }
  const bool one_class = flag(node, "one_class", false);
  const PostTransform transform = post_transform_of(node);
  const double* x = view<double>(context, context.input(0));
  float* out = context.output(0, ir::ElementType::float32, {features.rows, 1}).as<float>();
  parallel_for(features.rows, grain_for(static_cast<double>(vectors.size() + coefficients.size())),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t r = begin; r < end; ++r) {
                   const double* row = x + r * features.width;
                   double sum = static_cast<double>(rho[0]);
                   if (supports > 0) {
                     for (std::int64_t s = 0; s < supports; ++s) {
                       sum += static_cast<double>(coefficients[static_cast<std::size_t>(s)]) *
                              kernel(row, vectors.data() + s * features.width, features.width);
                     }
                   } else {
                     for (std::int64_t i = 0; i < features.width; ++i)
                       sum += row[i] * static_cast<double>(coefficients[static_cast<std::size_t>(i)]);
                   }
                   out[r] = one_class ? (sum > 0 ? 1.0f : -1.0f) : static_cast<float>(sum);
                   if (!one_class) post_transform(out + r, 1, transform);
                 }
               });
}

// Probabilities of all classes from those of each pair, as libsvm finds them (Wu, Lin and Weng 2004, second method).
std::vector<double> couple(const std::vector<double>& pairs, std::size_t k) {
  const auto at = [k](std::size_t i, std::size_t j) { return i * k + j; };
  std::vector<double> q(k * k), p(k, 1.0 / static_cast<double>(k)), qp(k);
  for (std::size_t t = 0; t < k; ++t) {
    for (std::size_t j = 0; j < k; ++j) {
      if (j == t) continue;
      q[at(t, t)] += pairs[at(j, t)] * pairs[at(j, t)];
      q[at(t, j)] = -pairs[at(j, t)] * pairs[at(t, j)];
    }
  }
  const double tolerance = 0.005 / static_cast<double>(k);
  for (std::size_t round = 0; round < std::max<std::size_t>(100, k); ++round) {
    double pqp = 0, worst = 0;
    for (std::size_t t = 0; t < k; ++t) {
      qp[t] = 0;
      for (std::size_t j = 0; j < k; ++j) qp[t] += q[at(t, j)] * p[j];
      pqp += p[t] * qp[t];
    }
    for (std::size_t t = 0; t < k; ++t) worst = std::max(worst, std::abs(qp[t] - pqp));
    if (worst < tolerance) break;
    for (std::size_t t = 0; t < k; ++t) {
      const double diff = (-qp[t] + pqp) / q[at(t, t)];
      p[t] += diff;
      pqp = (pqp + diff * (diff * q[at(t, t)] + 2 * qp[t])) / (1 + diff) / (1 + diff);
      for (std::size_t j = 0; j < k; ++j) {
        qp[j] = (qp[j] + diff * q[at(t, j)]) / (1 + diff);
        p[j] /= 1 + diff;
      }
    }
  }
  return p;
}

void svm_classifier(Context& context) {
  const ir::Node& node = context.node();
  const Features features(context.input(0));
  const SvmKernel kernel(node);
  const PostTransform transform = post_transform_of(node);
  const std::vector<float> coefficients = node.floats_or("coefficients", {}),
                           vectors = node.floats_or("support_vectors", {}), rho = node.floats_or("rho", {});
  const std::vector<float> prob_a = node.floats_or("prob_a", {}), prob_b = node.floats_or("prob_b", {});
  const ir::Dims per_class = node.ints_or("vectors_per_class", {});
  Labels labels(node, "classlabels_ints", "classlabels_strings");
  const bool linear = per_class.empty();
  const std::size_t classes = linear ? labels.count() : per_class.size();
  if (classes == 0 || rho.empty()) bad_input("no classes or no rho");
  const std::size_t pairs = classes * (classes - 1) / 2;
  std::vector<std::size_t> starts(1);
  for (const std::int64_t count : per_class) {
    if (count < 0) bad_input("vectors_per_class {}", ir::text(per_class));
    starts.push_back(starts.back() + static_cast<std::size_t>(count));
  }
  const std::size_t supports = starts.back();
  const auto width = static_cast<std::size_t>(features.width);
  if (linear ? coefficients.size() != classes * width
             : vectors.size() != supports * width || coefficients.size() < supports * (classes - 1)) {
    bad_input("{} coefficients and {} numbers of support vectors for {} features", coefficients.size(), vectors.size(),
              width);
  }
  if (!linear && (rho.size() < pairs || (!prob_a.empty() && (prob_a.size() < pairs || prob_b.size() < pairs)))) {
    bad_input("{} rho and {} probability coefficients for {} pairs", rho.size(), prob_a.size(), pairs);
  }
  if (labels.count() < classes) bad_input("{} labels for {} classes", labels.count(), classes);
  const bool positive = std::all_of(coefficients.begin(), coefficients.end(), [](float c) { return c >= 0; });
  const bool probabilities = !linear && !prob_a.empty();
  const std::size_t scores_count = linear || probabilities ? classes : pairs;
  // One score of two classes is shown as two.
  const bool pair = scores_count == 1 && labels.count() == 2;
  const auto shown_count = static_cast<std::int64_t>(pair ? 2 : scores_count);
  labels.begin(context, features.rows);
  const double* x = view<double>(context, context.input(0));
  float* out = context.output(1, ir::ElementType::float32, {features.rows, shown_count}).as<float>();
  parallel_for(features.rows, grain_for(static_cast<double>(vectors.size() + coefficients.size())),
               [&](std::int64_t begin, std::int64_t end) {
                 std::vector<double> similar(supports);
                 for (std::int64_t r = begin; r < end; ++r) {
                   const double* row = x + r * features.width;
                   std::vector<float> scores;
                   std::vector<int> votes(linear ? 0 : classes);
                   if (linear) {
                     for (std::size_t c = 0; c < classes; ++c) {
                       scores.push_back(static_cast<float>(
                           kernel(row, coefficients.data() + c * width, features.width) + static_cast<double>(rho[0])));
                     }
                   } else {
                     for (std::size_t s = 0; s < supports; ++s)
                       similar[s] = kernel(row, vectors.data() + s * width, features.width);
                     std::size_t next = 0;
                     for (std::size_t i = 0; i < classes; ++i) {
                       for (std::size_t j = i + 1; j < classes; ++j) {
                         double sum = 0;
                         for (std::size_t s = starts[i]; s < starts[i + 1]; ++s)
                           sum += static_cast<double>(coefficients[supports * (j - 1) + s]) * similar[s];
                         for (std::size_t s = starts[j]; s < starts[j + 1]; ++s)
                           sum += static_cast<double>(coefficients[supports * i + s]) * similar[s];
                         sum += static_cast<double>(rho[next++]);
                         scores.push_back(static_cast<float>(sum));
                         ++votes[sum > 0 ? i : j];
                       }
                     }
                   }
                   if (probabilities) {
                     std::vector<double> matrix(classes * classes);
                     std::size_t next = 0;
                     for (std::size_t i = 0; i < classes; ++i) {
                       for (std::size_t j = i + 1; j < classes; ++j, ++next) {
                         const double value = static_cast<double>(scores[next]) * static_cast<double>(prob_a[next]) +
                                              static_cast<double>(prob_b[next]);
                         const double chance = std::clamp(1 - logistic(value), 1e-7, 1 - 1e-7);
                         matrix[i * classes + j] = chance;
                         matrix[j * classes + i] = 1 - chance;
                       }
                     }
                     const std::vector<double> p = couple(matrix, classes);
                     scores.assign(p.begin(), p.end());
                   }
                   std::size_t best = 0;
                   if (votes.empty() || probabilities) {
                     best = static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
                   } else {
                     best = static_cast<std::size_t>(std::max_element(votes.begin(), votes.end()) - votes.begin());
                   }
                   if (pair) {
                     const float score = scores[0];
                     labels.set(r, (positive ? score >= 0.5f : score > 0) ? 1 : best);
                     scores = transform == PostTransform::none ? std::vector<float>{-score, score}
                                                               : std::vector<float>{1 - score, score};
                   } else {
                     labels.set(r, best);
                     post_transform(scores.data(), scores.size(), transform);
                   }
                   std::copy(scores.begin(), scores.end(), out + r * shown_count);
                 }
               });
}

constexpr std::int64_t latest = std::numeric_limits<std::int64_t>::max();
}  // namespace

std::span<const KernelEntry> linear_model_kernels() {
  static constexpr KernelEntry entries[] = {
      {"LinearRegressor", 1, stateless<linear_regressor>, latest, "ai.onnx.ml"},
      {"LinearClassifier", 1, stateless<linear_classifier>, latest, "ai.onnx.ml"},
      {"SVMRegressor", 1, stateless<svm_regressor>, latest, "ai.onnx.ml"},
      {"SVMClassifier", 1, stateless<svm_classifier>, latest, "ai.onnx.ml"},
  };
  return entries;
}

}  // namespace hone::exec
