// ai.onnx.ml: TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor.
//
// A forest is built once: every tree is checked to end in leaves, so that walking it terminates. Votes are summed in
// double, tree by tree. A missing feature (NaN) takes the branch its node says. Where ONNX leaves open what a classifier
// with one score for two labels shows, it is what ONNX Runtime shows.
#include <map>
#include <unordered_map>

#include "exec/arrays.h"
#include "exec/reference/classes.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

enum class Test : std::uint8_t { leq, lt, gte, gt, eq, neq, member, leaf };

struct Branch {
  Test test = Test::leaf;
  bool missing_is_true = false;
  std::int64_t feature = 0;
  double threshold = 0;
  std::size_t yes = 0, no = 0;
  std::vector<double> members;                         // sorted
  std::vector<std::pair<std::int64_t, double>> votes;  // of a leaf: target and weight
};

struct Forest {
  std::vector<Branch> branches;
  std::vector<std::size_t> roots;
  std::int64_t features = 0;  // as many as any branch asks for

  // bad_input where a path does not end, or a feature is negative.
  void check() {
    enum class Color : std::uint8_t { fresh, open, done };
    std::vector<Color> colors(branches.size(), Color::fresh);
    for (const std::size_t root : roots) {
      std::vector<std::pair<std::size_t, int>> path = {{root, 0}};
      while (!path.empty()) {
        auto& [at, next] = path.back();
        if (next == 0) {
          if (colors[at] == Color::done) {
            path.pop_back();
            continue;
          }
          if (colors[at] == Color::open) bad_input("a tree has a cycle");
          colors[at] = Color::open;
        }
        const Branch& branch = branches[at];
        if (branch.test == Test::leaf || next == 2) {
          colors[at] = Color::done;
          path.pop_back();
          continue;
        }
        const std::size_t child = next++ == 0 ? branch.yes : branch.no;
        if (colors[child] == Color::open) bad_input("a tree has a cycle");
        path.emplace_back(child, 0);
      }
    }
    for (const Branch& branch : branches) {
      if (branch.test == Test::leaf) continue;
      if (branch.feature < 0) bad_input("a tree asks for feature {}", branch.feature);
      features = std::max(features, size_sum(branch.feature, 1));
    }
  }

  template <typename T>
  const Branch& leaf(std::size_t root, const T* x) const {
    const Branch* at = &branches[root];
    while (at->test != Test::leaf) {
      const double value = static_cast<double>(x[at->feature]);
      bool yes = false;
      if (value != value) {
        yes = at->missing_is_true;
      } else {
        switch (at->test) {
          case Test::leq:
            yes = value <= at->threshold;
            break;
          case Test::lt:
            yes = value < at->threshold;
            break;
          case Test::gte:
            yes = value >= at->threshold;
            break;
          case Test::gt:
            yes = value > at->threshold;
            break;
          case Test::eq:
            yes = value == at->threshold;
            break;
          case Test::neq:
            yes = value != at->threshold;
            break;
          default:
            yes = std::binary_search(at->members.begin(), at->members.end(), value);
        }
      }
      at = &branches[yes ? at->yes : at->no];
    }
    return *at;
  }
};

std::vector<double> numbers(const ir::Node& node, const std::string& name) {
  if (const ir::Tensor* tensor = node.tensor(name + "_as_tensor")) return tensor->to_doubles();
  const std::vector<float> values = node.floats_or(name, {});
  return {values.begin(), values.end()};
}

// The lists of TreeEnsembleClassifier and TreeEnsembleRegressor: nodes by (tree, node), and votes by the same.
Forest read_forest(const ir::Node& node, const std::string& votes) {
  const ir::Dims trees = node.ints_or("nodes_treeids", {}), ids = node.ints_or("nodes_nodeids", {});
  const ir::Dims features = node.ints_or("nodes_featureids", {}), yes = node.ints_or("nodes_truenodeids", {}),
                 no = node.ints_or("nodes_falsenodeids", {});
  const ir::Dims missing = node.ints_or("nodes_missing_value_tracks_true", {});
  const std::vector<std::string> modes = string_list(node, "nodes_modes");
  const std::vector<double> thresholds = numbers(node, "nodes_values");
  const std::size_t n = trees.size();
  if (ids.size() != n || features.size() != n || yes.size() != n || no.size() != n || modes.size() != n ||
      thresholds.size() != n || (!missing.empty() && missing.size() != n)) {
    bad_input("the lists nodes_* have different lengths");
  }
  Forest forest;
  forest.branches.resize(n);
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> index;
  for (std::size_t i = 0; i < n; ++i) {
    if (!index.try_emplace({trees[i], ids[i]}, i).second)
      bad_input("node {} of tree {} is listed twice", ids[i], trees[i]);
  }
  static const std::map<std::string, Test> tests = {
      {"BRANCH_LEQ", Test::leq}, {"BRANCH_LT", Test::lt},   {"BRANCH_GTE", Test::gte}, {"BRANCH_GT", Test::gt},
      {"BRANCH_EQ", Test::eq},   {"BRANCH_NEQ", Test::neq}, {"LEAF", Test::leaf}};
  std::vector<bool> has_parent(n);
  for (std::size_t i = 0; i < n; ++i) {
    Branch& branch = forest.branches[i];
    const auto test = tests.find(modes[i]);
    if (test == tests.end()) bad_input("a node's mode is {}", quote(modes[i]));
    branch.test = test->second;
    if (branch.test == Test::leaf) continue;
    branch.missing_is_true = !missing.empty() && missing[i] != 0;
    branch.feature = features[i];
    branch.threshold = thresholds[i];
    const auto child = [&](std::int64_t id) {
      const auto found = index.find({trees[i], id});
      if (found == index.end()) bad_input("tree {} has no node {}", trees[i], id);
      has_parent[found->second] = true;
      return found->second;
    };
    branch.yes = child(yes[i]);
    branch.no = child(no[i]);
  }
  std::unordered_map<std::int64_t, std::size_t> rooted;
  for (std::size_t i = 0; i < n; ++i) {
    if (!has_parent[i] && rooted.try_emplace(trees[i], i).second) forest.roots.push_back(i);
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (!rooted.contains(trees[i])) bad_input("tree {} has no root", trees[i]);
  }
  const ir::Dims vote_trees = node.ints_or(votes + "_treeids", {}), vote_nodes = node.ints_or(votes + "_nodeids", {});
  const ir::Dims targets = node.ints_or(votes + "_ids", {});
  const std::vector<double> weights = numbers(node, votes + "_weights");
  if (vote_nodes.size() != vote_trees.size() || targets.size() != vote_trees.size() ||
      weights.size() != vote_trees.size()) {
    bad_input("the lists {}_* have different lengths", votes);
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto found = index.find({vote_trees[i], vote_nodes[i]});
    if (found == index.end()) bad_input("tree {} has no node {}", vote_trees[i], vote_nodes[i]);
    forest.branches[found->second].votes.emplace_back(targets[i], weights[i]);
  }
  forest.check();
  return forest;
}

void require_targets(const Forest& forest, std::int64_t count) {
  for (const Branch& branch : forest.branches) {
    for (const auto& [target, weight] : branch.votes) {
      if (target < 0 || target >= count) bad_input("a vote for target {} of {}", target, count);
    }
  }
}

enum class Aggregate { average, sum, minimum, maximum };

// Scores of one row, and which targets had a vote.
template <typename T>
void vote(const Forest& forest, const T* x, Aggregate aggregate, std::vector<double>& scores,
          std::vector<bool>& voted) {
  std::fill(scores.begin(), scores.end(), 0.0);
  voted.assign(scores.size(), false);
  for (const std::size_t root : forest.roots) {
    for (const auto& [target, weight] : forest.leaf(root, x).votes) {
      const auto at = static_cast<std::size_t>(target);
      if (!voted[at] || aggregate == Aggregate::sum || aggregate == Aggregate::average) {
        scores[at] += weight;
      } else {
        scores[at] = aggregate == Aggregate::minimum ? std::min(scores[at], weight) : std::max(scores[at], weight);
      }
      voted[at] = true;
    }
  }
  if (aggregate == Aggregate::average) {
    for (double& score : scores) score /= static_cast<double>(forest.roots.size());
  }
}

// f(row, x) for every row of features, as float or double.
template <typename F>
void for_each_row(Context& context, const Forest& forest, const F& f) {
  const Array& in = context.input(0);
  const Features features(in);
  if (features.width < forest.features && features.rows > 0)
    bad_input("{} features, where the trees ask for {}", features.width, forest.features);
  const auto run = [&](const auto* rows) {
    const double work = 64 * static_cast<double>(forest.roots.size());
    parallel_for(features.rows, grain_for(work), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) f(r, rows + r * features.width);
    });
  };
  if (in.type == ir::ElementType::float64) {
    run(in.as<double>());
  } else {
    run(view<float>(context, in));
  }
}

class Regressor : public Kernel {
 public:
  explicit Regressor(const KernelInfo& info)
      : forest_(read_forest(info.node, "target")),
        targets_(info.node.int_or("n_targets", 1)),
        base_(numbers(info.node, "base_values")),
        transform_(post_transform_of(info.node)) {
    const std::string aggregate = info.node.string_or("aggregate_function", "SUM");
    aggregate_ = aggregate == "AVERAGE" ? Aggregate::average
                 : aggregate == "MIN"   ? Aggregate::minimum
                 : aggregate == "MAX"   ? Aggregate::maximum
                                        : Aggregate::sum;
    if (aggregate_ == Aggregate::sum && aggregate != "SUM") bad_input("aggregate_function is {}", quote(aggregate));
    if (targets_ < 1) bad_input("n_targets is {}", targets_);
    require_targets(forest_, targets_);
    if (!base_.empty() && base_.size() != 1 && static_cast<std::int64_t>(base_.size()) != targets_)
      bad_input("{} base values for {} targets", base_.size(), targets_);
  }

  void run(Context& context) override {
    const Features features(context.input(0));
    float* out = context.output(0, ir::ElementType::float32, {features.rows, targets_}).as<float>();
    for_each_row(context, forest_, [&](std::int64_t row, const auto* x) {
      std::vector<double> scores(static_cast<std::size_t>(targets_));
      std::vector<bool> voted;
      vote(forest_, x, aggregate_, scores, voted);
      std::vector<float> shown(scores.size());
      for (std::size_t i = 0; i < scores.size(); ++i) {
        shown[i] = static_cast<float>(scores[i] + (base_.empty() ? 0 : base_[base_.size() == 1 ? 0 : i]));
      }
      // A single target is shown as it is, but for PROBIT: as ONNX Runtime has it.
      if (shown.size() > 1 || transform_ == PostTransform::probit)
        post_transform(shown.data(), shown.size(), transform_);
      std::copy(shown.begin(), shown.end(), out + row * targets_);
    });
  }

 private:
  Forest forest_;
  std::int64_t targets_;
  std::vector<double> base_;
  PostTransform transform_;
  Aggregate aggregate_ = Aggregate::sum;
};

class Classifier : public Kernel {
 public:
  explicit Classifier(const KernelInfo& info)
      : forest_(read_forest(info.node, "class")),
        labels_(info.node, "classlabels_int64s", "classlabels_strings"),
        base_(numbers(info.node, "base_values")),
        transform_(post_transform_of(info.node)) {
    if (labels_.count() == 0) bad_input("no class labels");
    const auto count = static_cast<std::int64_t>(labels_.count());
    require_targets(forest_, count);
    if (base_.size() > 2 && static_cast<std::int64_t>(base_.size()) != count)
      bad_input("{} base values for {} classes", base_.size(), count);
    std::map<std::int64_t, int> targets;
    for (const Branch& branch : forest_.branches) {
      for (const auto& [target, weight] : branch.votes) {
        ++targets[target];
        positive_ = positive_ && weight >= 0;
      }
    }
    single_ = labels_.count() == 2 && targets.size() <= 1;
  }

  void run(Context& context) override {
    const Features features(context.input(0));
    Labels labels = labels_;
    labels.begin(context, features.rows);
    const std::size_t classes = labels.count();
    const auto width = static_cast<std::int64_t>(classes == 1 ? 1 : classes);
    float* out = context.output(1, ir::ElementType::float32, {features.rows, width}).as<float>();
    for_each_row(context, forest_, [&](std::int64_t row, const auto* x) {
      std::vector<double> scores(classes);
      std::vector<bool> voted;
      vote(forest_, x, Aggregate::sum, scores, voted);
      std::vector<float> shown(classes);
      if (single_) {  // one score for two labels
        const double score = scores[0] + scores[1] + (base_.empty() ? 0 : base_.size() == 1 ? base_[0] : base_[1]);
        labels.set(row, score > (positive_ ? 0.5 : 0.0) ? 1 : 0);
        show_pair(static_cast<float>(score), shown.data());
      } else {
        for (std::size_t i = 0; i < classes; ++i)
          shown[i] = static_cast<float>(scores[i] + (i < base_.size() ? base_[i] : 0));
        if (classes == 1) {
          labels.set_single(row, shown[0] > 0);
        } else {
          labels.set(row, static_cast<std::size_t>(std::max_element(shown.begin(), shown.end()) - shown.begin()));
        }
        post_transform(shown.data(), classes, transform_);
      }
      std::copy(shown.begin(), shown.end(), out + row * width);
    });
  }

 private:
  void show_pair(float score, float* shown) const {
    if (transform_ == PostTransform::probit) {
      shown[0] = shown[1] = probit(score);
      shown[0] = -shown[1];
    } else if (positive_) {
      shown[0] = 1 - score;
      shown[1] = score;
    } else if (transform_ == PostTransform::logistic) {
      shown[0] = logistic(-score);
      shown[1] = logistic(score);
    } else {
      shown[0] = -score;
      shown[1] = score;
    }
  }

  Forest forest_;
  Labels labels_;
  std::vector<double> base_;
  PostTransform transform_;
  bool positive_ = true, single_ = false;
};

// Opset 5: inner nodes and leaves in lists of their own.
class Ensemble : public Kernel {
 public:
  explicit Ensemble(const KernelInfo& info) : targets_(info.node.int_or("n_targets", 1)) {
    const ir::Node& node = info.node;
    const ir::Dims features = node.ints_or("nodes_featureids", {}), yes = node.ints_or("nodes_truenodeids", {}),
                   no = node.ints_or("nodes_falsenodeids", {});
    const ir::Dims yes_leaf = node.ints_or("nodes_trueleafs", {}), no_leaf = node.ints_or("nodes_falseleafs", {});
    const ir::Dims missing = node.ints_or("nodes_missing_value_tracks_true", {}),
                   targets = node.ints_or("leaf_targetids", {});
    const auto tensor = [&](std::string_view name) {
      const ir::Tensor* found = node.tensor(name);
      return found ? found->to_doubles() : std::vector<double>();
    };
    const std::vector<double> splits = tensor("nodes_splits"), modes = tensor("nodes_modes"),
                              weights = tensor("leaf_weights"), members = tensor("membership_values");
    const std::size_t n = features.size();
    if (yes.size() != n || no.size() != n || yes_leaf.size() != n || no_leaf.size() != n || splits.size() != n ||
        modes.size() != n || (!missing.empty() && missing.size() != n) || weights.size() != targets.size()) {
      bad_input("the lists nodes_* or leaf_* have different lengths");
    }
    forest_.branches.resize(n + targets.size());
    for (std::size_t i = 0; i < targets.size(); ++i) forest_.branches[n + i].votes.emplace_back(targets[i], weights[i]);
    std::size_t next_member = 0;
    for (std::size_t i = 0; i < n; ++i) {
      Branch& branch = forest_.branches[i];
      if (!(modes[i] >= 0 && modes[i] <= 6)) bad_input("a node's mode is {}", modes[i]);
      branch.test = static_cast<Test>(static_cast<int>(modes[i]));
      branch.missing_is_true = !missing.empty() && missing[i] != 0;
      branch.feature = features[i];
      branch.threshold = splits[i];
      const auto child = [&](std::int64_t id, bool leaf) {
        if (id < 0 || id >= static_cast<std::int64_t>(leaf ? targets.size() : n))
          bad_input("there is no {} {}", leaf ? "leaf" : "node", id);
        return static_cast<std::size_t>(id) + (leaf ? n : 0);
      };
      branch.yes = child(yes[i], yes_leaf[i] != 0);
      branch.no = child(no[i], no_leaf[i] != 0);
      if (branch.test == Test::member) {  // its members end with NaN
        while (next_member < members.size() && members[next_member] == members[next_member])
          branch.members.push_back(members[next_member++]);
        if (next_member++ >= members.size()) bad_input("membership_values end too early");
        std::sort(branch.members.begin(), branch.members.end());
      }
    }
    for (const std::int64_t root : node.ints_or("tree_roots", {})) {
      if (root < 0 || root >= static_cast<std::int64_t>(n)) bad_input("there is no node {}", root);
      forest_.roots.push_back(static_cast<std::size_t>(root));
    }
    forest_.check();
    if (targets_ < 1) bad_input("n_targets is {}", targets_);
    require_targets(forest_, targets_);
    const std::int64_t aggregate = node.int_or("aggregate_function", 1), transform = node.int_or("post_transform", 0);
    if (aggregate < 0 || aggregate > 3 || transform < 0 || transform > 4)
      bad_input("aggregate_function {} and post_transform {}", aggregate, transform);
    aggregate_ = static_cast<Aggregate>(aggregate);
    transform_ = static_cast<PostTransform>(transform);
  }

  void run(Context& context) override {
    const Array& in = context.input(0);
    const Features features(in);
    in_real(context, in.type, [&]<typename T>() {
      Result<T> out(context, 0, in.type, ir::Dims{features.rows, targets_});
      for_each_row(context, forest_, [&](std::int64_t row, const auto* x) {
        std::vector<double> scores(static_cast<std::size_t>(targets_));
        std::vector<bool> voted;
        vote(forest_, x, aggregate_, scores, voted);
        std::vector<T> shown(scores.begin(), scores.end());
        post_transform(shown.data(), shown.size(), transform_);
        std::copy(shown.begin(), shown.end(), out.data() + row * targets_);
      });
      out.finish();
    });
  }

 private:
  Forest forest_;
  std::int64_t targets_;
  Aggregate aggregate_ = Aggregate::sum;
  PostTransform transform_ = PostTransform::none;
};

constexpr std::int64_t latest = std::numeric_limits<std::int64_t>::max();
}  // namespace

std::span<const KernelEntry> tree_kernels() {
  static constexpr KernelEntry entries[] = {
      {"TreeEnsembleRegressor", 1, make<Regressor>, latest, "ai.onnx.ml"},
      {"TreeEnsembleClassifier", 1, make<Classifier>, latest, "ai.onnx.ml"},
      {"TreeEnsemble", 5, make<Ensemble>, latest, "ai.onnx.ml"},
  };
  return entries;
}

}  // namespace hone::exec
