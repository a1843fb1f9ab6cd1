// hone convert: simplified ONNX out, for any supported format in.
#include <fmt/core.h>

#include "common.h"
#include "hone/data/npy.h"
#include "hone/formats/convert.h"
#include "hone/passes/passes.h"
#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::tools {
namespace {

struct Options {
  ModelInOut files;
  formats::ConvertOptions convert;
  std::string verify = "auto";
  std::string passes;
  std::int64_t opset = 0, batch = 0;
  std::vector<std::string> shapes, dims;
  std::string fold_limit, dump_after;
  bool time_passes = false, print_passes = false;
};

formats::Verify parse_verify(const std::string& text) {
  if (text == "always") return formats::Verify::always;
  if (text == "never") return formats::Verify::never;
  return formats::Verify::automatic;
}

const char* verdict(const formats::ConvertResult& result) {
  using Verdict = rewrite::VerifyResult::Verdict;
  if (!result.verified || !result.changed) return "not asked";
  return result.verification.verdict == Verdict::equal ? "equal" : "not run";
}

void print_times(const rewrite::PipelineResult& pipeline) {
  fmt::print(stderr, "{:<36} {:>9} {:>9} {:>11}\n", "pass", "visits", "applied", "ms");
  for (const rewrite::PassStatistics& pass : pipeline.passes) {
    fmt::print(stderr, "{:<36} {:>9} {:>9} {:>11.3f}\n", pass.name, pass.visits, pass.applications, pass.seconds * 1e3);
  }
}

void run(Options& options, Common& common) {
  common.apply();
  formats::ConvertOptions& convert = options.convert;
  convert.verify = parse_verify(options.verify);
  convert.verification.seed = common.seed();
  if (!options.passes.empty()) convert.pipeline = options.passes;
  if (options.opset != 0) convert.opset = options.opset;
  if (options.batch != 0) convert.batch = options.batch;
  for (const std::string& text : options.shapes) convert.input_shapes.push_back(parse_shape(text));
  for (const std::string& text : options.dims) {
    auto [name, shape] = parse_shape(text);
    if (shape.size() != 1 || !shape[0].number()) usage_error("--dim {} is not SYMBOL=NUMBER", hone::quoted(text));
    convert.symbols.emplace_back(name, *shape[0].number());
  }
  if (!options.fold_limit.empty()) {
    const auto bytes = parse_size(options.fold_limit);
    if (!bytes) usage_error("--fold-limit {} is not a size such as 64KiB", hone::quoted(options.fold_limit));
    convert.passes.pass.fold_limit = *bytes;
  }
  if (!options.dump_after.empty()) {
    rewrite::parse_pipeline(options.dump_after, passes::list());  // the name exists
    convert.passes.one_pass_at_a_time = true;
    convert.passes.after_pass = [&options](std::string_view name, ir::Model& model) {
      if (name == options.dump_after) fmt::print(stderr, "{}\n", onnx::to_text(model));
    };
  }
  if (options.print_passes) {
    const auto pipeline = convert.pipeline ? rewrite::parse_pipeline(*convert.pipeline, passes::list())
                                           : passes::pipeline(convert.level);
    for (const rewrite::Pass* pass : pipeline) fmt::print(stderr, "{}\n", pass->name);
  }

  ir::Model model = options.files.read(common);
  const formats::ConvertResult result =
      in_context([&] { return "converting " + options.files.input; },
                 [&] { return formats::convert(model, convert, common.observer()); });
  if (result.changed) {
    std::vector<std::pair<std::string, std::string>> recorded;
    if (convert.pipeline) {
      recorded.emplace_back("passes", *convert.pipeline);
    } else {
      recorded.emplace_back("level", std::to_string(convert.level));
    }
    if (convert.opset) recorded.emplace_back("opset", std::to_string(*convert.opset));
    if (!convert.precision.empty()) recorded.emplace_back("precision", convert.precision);
    for (const std::string& shape : options.shapes) recorded.emplace_back("shape", shape);
    for (const std::string& dim : options.dims) recorded.emplace_back("dim", dim);
    if (convert.batch) recorded.emplace_back("batch", std::to_string(*convert.batch));
    options.files.record(model, "convert", recorded);
  }
  options.files.write(model);

  if (options.time_passes) print_times(result.pipeline);
  if (result.verified && result.changed && result.verification.verdict == rewrite::VerifyResult::Verdict::not_run) {
    common.observer().message(Level::warning, "not verified: " + result.verification.reason);
  }
  common.say(fmt::format("{} -> {} nodes; verification: {}", result.nodes_before, result.nodes_after, verdict(result)));
  Json passes = Json::array();
  for (const rewrite::PassStatistics& pass : result.pipeline.passes) {
    passes.push_back({{"name", pass.name}, {"applications", pass.applications}, {"seconds", pass.seconds}});
  }
  common.write_report("convert", {{"input", options.files.input},
                                  {"output", options.files.output},
                                  {"changed", result.changed},
                                  {"nodes", {{"before", result.nodes_before}, {"after", result.nodes_after}}},
                                  {"verification", {{"verdict", verdict(result)}, {"runs", result.verification.runs}}},
                                  {"passes", std::move(passes)}});
}

}  // namespace

void add_convert(CLI::App& hone, Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *hone.add_subcommand("convert", "simplify a model, change its opset, precision or shapes");
  options->files.add_to(command);
  command.add_option("--level", options->convert.level, "0: write what was read; 1: shapes and dead code; 2: all exact rewrites")
      ->check(CLI::Range(0, 3))
      ->capture_default_str();
  command.add_option("--passes", options->passes, "pass names, comma-separated, instead of a level; see hone passes");
  command.add_option("--opset", options->opset, "version of the ai.onnx operators to convert to");
  command.add_option("--precision", options->convert.precision, "fp16: weights and computation in half precision")
      ->check(CLI::IsMember({"fp32", "fp16"}));
  command.add_option("--shape", options->shapes, "fix or free an input's dimensions: x=1,3,224,224 or x=batch,3,224,224")
      ->type_name("INPUT=DIMS");
  command.add_option("--dim", options->dims, "give a symbolic dimension a size")->type_name("SYMBOL=N");
  command.add_option("--batch", options->batch, "size of the first dimension of every input")->check(CLI::PositiveNumber);
  command.add_option("--verify", options->verify, "run both models on the same inputs: auto (when cheap), always, never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  command.add_option("--fold-limit", options->fold_limit, "largest constant to fold that makes the file grow")
      ->type_name("SIZE");
  const std::string group = "Looking into passes";
  command.add_flag("--print-passes", options->print_passes, "list the passes that will run")->group(group);
  command.add_flag("--time-passes", options->time_passes, "print time and applications of each pass")->group(group);
  command.add_flag("--verify-passes", options->convert.verify_passes, "verify after each pass and name a wrong one")
      ->group(group);
  command.add_flag("--bisect", options->convert.bisect, "find the single rewrite that changed the results")->group(group);
  command.add_option("--dump-after", options->dump_after, "print the model as text after PASS")
      ->type_name("PASS")
      ->group(group);
  common.add_to(command);
  command.footer("Example: hone convert model.onnx -o - | hone inspect -");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace hone::tools
