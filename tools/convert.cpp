// hone convert: simplified ONNX out, for any supported format in.
#include "hone/formats/convert.h"

#include <fmt/core.h>

#include <regex>

#include "common.h"
#include "data_options.h"
#include "hone/data/npy.h"
#include "hone/onnx/metadata.h"
#include "hone/passes/passes.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "hone/surgery/signature.h"

namespace hone::tools {
namespace {

struct ConvertFlags {
  ModelInOut files;
  formats::ConvertOptions convert;
  std::string verify = "auto";
  std::string passes;
  bool level_given = false;
  std::int64_t opset = 0;
  std::string batch;
  std::vector<std::string> shapes, dims;
  std::string fold_limit, dump_after;
  bool time_passes = false, print_passes = false;
  DataOptions data;
  std::string verify_inputs;
  std::int64_t samples = 32;
  std::string precision, io_precision = "keep", keep_fp32;
  double max_error = 0;
  std::vector<std::string> rename, order_inputs, order_outputs;
  std::string strip_metadata;
  bool strip_debug_info = false, strip_doc_strings = false;
};

std::regex parse_regex(const std::string& text, const char* option) {
  try {
    return std::regex(text);
  } catch (const std::regex_error&) {
    usage_error("{} {} is no regular expression", option, hone::quote(text));
  }
}

std::optional<formats::PrecisionSettings> parse_precision(const ConvertFlags& options) {
  if (options.precision.empty() || options.precision == "fp32") {
    if (options.max_error > 0 || !options.keep_fp32.empty() || options.io_precision != "keep") {
      usage_error("--max-error, --keep-fp32 and --io-precision belong to --precision fp16, bf16 or mixed");
    }
    return std::nullopt;
  }
  formats::PrecisionSettings settings;
  settings.type = options.precision == "bf16" ? ir::ElementType::bfloat16 : ir::ElementType::float16;
  settings.convert_signature = options.io_precision == "same";
  settings.keep = options.keep_fp32;
  settings.max_error = options.max_error;
  // Mixed: float16 as long as the outputs keep three digits, what image and text models are judged by.
  if (options.precision == "mixed" && settings.max_error == 0) settings.max_error = 1e-3;
  return settings;
}

// Rows of --data in batches as the model takes them, and the one set of --verify-inputs.
std::vector<std::vector<ir::NamedDatum>> read_samples(const ConvertFlags& options, const ir::Model& model) {
  std::vector<std::vector<ir::NamedDatum>> sets;
  if (!options.verify_inputs.empty()) {
    const data::NpzReader reader = data::NpzReader::open(options.verify_inputs);
    sets.emplace_back();
    for (const ir::Value* input : model.graph->inputs()) {
      if (input->initializer() && !reader.has(input->name())) continue;
      sets.back().push_back({input->name(), reader.read(input->name()).loaded()});
    }
  }
  if (!options.data.given()) return sets;
  const data::Feed feed(options.data.open(), data::model_inputs(*model.graph), options.data.feed());
  constexpr std::int64_t kBatch = 8;  // small enough for any model, large enough to show what depends on the batch
  const std::int64_t rows = std::min(options.samples, feed.data().rows());
  for (const data::Batch& batch :
       data::batches(rows, feed.fixed_batch().value_or(kBatch), feed.fixed_batch().has_value())) {
    sets.push_back(feed.read(batch.rows));
  }
  return sets;
}

// Names, order and metadata: what follows when the graph is done. True if anything was asked for and changed.
bool finish(ir::Model& model, const ConvertFlags& options, Common& common, Json& report) {
  bool changed = false;
  if (options.strip_debug_info || options.strip_doc_strings || !options.strip_metadata.empty()) {
    std::optional<std::regex> keys;
    if (!options.strip_metadata.empty()) keys = parse_regex(options.strip_metadata, "--strip-metadata");
    const auto matches = [&](std::string_view key) { return keys && std::regex_match(key.begin(), key.end(), *keys); };
    onnx::MetadataFilter filter;
    filter.doc_strings = options.strip_debug_info || options.strip_doc_strings;
    filter.model_doc_string = options.strip_doc_strings;
    filter.model_key = matches;
    filter.inner_key = [&](std::string_view key) {
      return matches(key) || (options.strip_debug_info && onnx::is_debug_key(key));
    };
    const onnx::MetadataRemoved removed = onnx::remove_metadata(model, filter);
    changed |= removed.doc_strings > 0 || removed.entries > 0;
    common.say(fmt::format("{} doc strings and {} metadata entries removed, {}", removed.doc_strings, removed.entries,
                           human_bytes(removed.bytes)));
    report["stripped"] = {{"doc_strings", removed.doc_strings},
                          {"entries", removed.entries},
                          {"bytes", removed.bytes},
                          {"keys", removed.keys}};
  }
  if (!options.order_inputs.empty()) surgery::order_inputs(model, tensor_names(model, options.order_inputs));
  if (!options.order_outputs.empty()) surgery::order_outputs(model, tensor_names(model, options.order_outputs));
  if (!options.rename.empty()) {
    std::vector<std::pair<std::string, std::string>> names;
    for (const std::string& text : options.rename) names.push_back(parse_pair(text, "--rename"));
    surgery::rename(model, names);
  }
  return changed || !options.rename.empty() || !options.order_inputs.empty() || !options.order_outputs.empty();
}

Json describe_batch(const surgery::BatchResult& batch, Common& common) {
  Json changes = Json::array();
  for (const surgery::BatchChange& change : batch.changes) {
    changes.push_back(
        {{"node", change.node}, {"op", change.op_type}, {"before", change.before}, {"after", change.after}});
  }
  if (!batch.not_verified.empty()) {
    common.observer().message(Level::warning, "the new batch was not verified: " + batch.not_verified);
  } else if (batch.runs > 0) {
    common.say(fmt::format("batch: {} nodes rewritten; equal to the original, sample by sample, in {} runs",
                           batch.changes.size(), batch.runs));
  }
  return {{"changes", std::move(changes)},
          {"runs", batch.runs},
          {"sizes", batch.sizes},
          {"not_verified", batch.not_verified}};
}

Json describe_precision(const formats::PrecisionReport& precision, Common& common) {
  Json kept = Json::array(), values = Json::array();
  for (const auto& node : precision.kept) {
    kept.push_back({{"node", node.node}, {"op", node.op_type}, {"value", node.value}, {"reason", node.reason}});
    common.say(fmt::format("kept in float32: {} ({}): value {}: {}", hone::quote(node.node), node.op_type,
                           hone::quote(node.value), node.reason));
  }
  for (const auto& value : precision.values) {
    values.push_back({{"value", value.name},
                      {"node", value.node},
                      {"largest", value.largest},
                      {"overflowing", value.overflowing},
                      {"flushed", value.flushed},
                      {"error", value.error}});
  }
  if (precision.lowered == 0) {
    common.observer().message(
        Level::warning,
        "no node computes in lower precision: none may, or the operators have no such type in the "
        "model's opset (--opset)");
  }
  common.say(precision.samples == 0
                 ? fmt::format("{} nodes in lower precision; give --data to check their ranges", precision.lowered)
                 : fmt::format(
                       "{} nodes in lower precision, {} kept for what {} sets of data show; largest error at an output "
                       "{:.3g}",
                       precision.lowered, precision.kept.size(), precision.samples, precision.error));
  return {{"lowered", precision.lowered},
          {"samples", precision.samples},
          {"error", precision.error},
          {"kept", std::move(kept)},
          {"values", std::move(values)}};
}

formats::Verify parse_verify(const std::string& text) {
  if (text == "always") return formats::Verify::always;
  if (text == "never") return formats::Verify::never;
  return formats::Verify::automatic;
}

const char* verdict(const formats::ConvertResult& result) {
  using Verdict = rewrite::VerifyResult::Verdict;
  if (!result.not_verified.empty() && result.changed) return "not run";
  if (!result.verified || !result.changed) return "not asked";
  return result.verification.verdict == Verdict::equal ? "equal" : "not run";
}

void print_times(const rewrite::PipelineResult& pipeline) {
  fmt::print(stderr, "{:<36} {:>9} {:>9} {:>11}\n", "pass", "visits", "applied", "ms");
  for (const rewrite::PassStatistics& pass : pipeline.passes) {
    fmt::print(stderr, "{:<36} {:>9} {:>9} {:>11.3f}\n", pass.name, pass.visits, pass.applications, pass.seconds * 1e3);
  }
}

void run(ConvertFlags& options, Common& common) {
  common.apply();
  formats::ConvertOptions& convert = options.convert;
  convert.verify = parse_verify(options.verify);
  convert.verification.seed = common.seed();
  if (!options.passes.empty()) convert.pipeline = options.passes;
  if (!convert.passes.pass.target.empty()) {
    if (options.level_given && convert.level < 3)
      usage_error("--target is for level 3, and --level says {}", convert.level);
    convert.level = 3;
  }
  if (options.opset != 0) convert.opset = options.opset;
  if (!options.batch.empty()) {
    const ir::Dimension batch = ir::Dimension::parse(options.batch);
    if (!(batch.symbol_name() || (batch.number() && *batch.number() > 0))) {
      usage_error("--batch {} is neither a positive number nor a name", hone::quote(options.batch));
    }
    convert.batch = batch;
  }
  convert.precision = parse_precision(options);
  if (options.data.given() || !options.verify_inputs.empty()) {
    convert.samples = [&options](const ir::Model& model) { return read_samples(options, model); };
  } else if (convert.precision && convert.precision->max_error > 0) {
    convert.samples = [&common](const ir::Model& model) {
      constexpr int kSets = 4;  // few numbers are needed to see a range that noise has
      common.observer().message(Level::warning, "errors are measured on random inputs; --data gives real ones");
      return formats::random_samples(model, common.seed(), kSets);
    };
  }
  if (!options.strip_metadata.empty()) parse_regex(options.strip_metadata, "--strip-metadata");
  if (!options.keep_fp32.empty()) parse_regex(options.keep_fp32, "--keep-fp32");
  for (const std::string& text : options.shapes) convert.input_shapes.push_back(parse_shape(text));
  for (const std::string& text : options.dims) {
    auto [name, shape] = parse_shape(text);
    if (shape.size() != 1 || !shape[0].number()) usage_error("--dim {} is not SYMBOL=NUMBER", hone::quote(text));
    convert.symbols.emplace_back(name, *shape[0].number());
  }
  if (!options.fold_limit.empty()) {
    const auto bytes = parse_size(options.fold_limit);
    if (!bytes) usage_error("--fold-limit {} is not a size such as 64KiB", hone::quote(options.fold_limit));
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
                                           : passes::pipeline(convert.level, convert.passes.pass.target);
    for (const rewrite::Pass* pass : pipeline) fmt::print(stderr, "{}\n", pass->name);
  }

  // Never destroyed: the process is about to end, and taking a large graph apart node by node is a tenth of the time. In
  // static storage, so that leak checkers see that it is still in use.
  alignas(ir::Model) static std::byte storage[sizeof(ir::Model)];
  ir::Model& model = *new (storage) ir::Model(options.files.read(common));
  formats::ConvertResult result = in_context([&] { return "converting " + options.files.input; },
                                             [&] { return formats::convert(model, convert, common.observer()); });
  Json details = Json::object();
  if (result.batch) details["batch"] = describe_batch(*result.batch, common);
  if (result.precision) details["precision"] = describe_precision(*result.precision, common);
  const bool verified_change = result.changed;
  const std::string verification = verdict(result);
  result.changed |= finish(model, options, common, details);
  if (result.changed) {
    std::vector<std::pair<std::string, std::string>> recorded;
    if (convert.pipeline) {
      recorded.emplace_back("passes", *convert.pipeline);
    } else {
      recorded.emplace_back("level", std::to_string(convert.level));
    }
    if (!convert.passes.pass.target.empty()) recorded.emplace_back("target", convert.passes.pass.target);
    if (convert.opset) recorded.emplace_back("opset", std::to_string(*convert.opset));
    if (convert.precision) recorded.emplace_back("precision", options.precision);
    for (const std::string& shape : options.shapes) recorded.emplace_back("shape", shape);
    for (const std::string& dim : options.dims) recorded.emplace_back("dim", dim);
    if (convert.batch) recorded.emplace_back("batch", options.batch);
    for (const std::string& rename : options.rename) recorded.emplace_back("rename", rename);
    options.files.record(model, "convert", recorded);
  }
  options.files.write(model);

  if (options.time_passes) print_times(result.pipeline);
  if (result.verified && verified_change && result.verification.verdict == rewrite::VerifyResult::Verdict::not_run) {
    common.observer().message(Level::warning, "not verified: " + result.verification.reason);
  }
  common.say(fmt::format("{} -> {} nodes; verification: {}", result.nodes_before, result.nodes_after, verification));
  Json passes = Json::array();
  for (const rewrite::PassStatistics& pass : result.pipeline.passes) {
    passes.push_back({{"name", pass.name}, {"applications", pass.applications}, {"seconds", pass.seconds}});
  }
  Json report{{"input", options.files.input},
              {"output", options.files.output},
              {"changed", result.changed},
              {"nodes", {{"before", result.nodes_before}, {"after", result.nodes_after}}},
              {"verification",
               {{"verdict", verification},
                {"runs", result.verification.runs},
                {"reason", result.not_verified.empty() ? result.verification.reason : result.not_verified}}},
              {"passes", std::move(passes)}};
  report.update(details);
  common.write_report("convert", std::move(report));
}

}  // namespace

void add_convert(Command hone, Common& common) {
  auto options = std::make_shared<ConvertFlags>();
  Command command = hone.add_command("convert", "simplify a model, change its opset, precision or shapes");
  options->files.add_to(command);
  command
      .add_option("--level", options->convert.level,
                  "0: write what was read; 1: shapes and dead code; 2: all exact rewrites; 3: those of a target, too")
      .between(0, 3)
      .show_default();
  Option target = command.add_option("--target", options->convert.passes.pass.target,
                                     "onnxruntime: com.microsoft operators of its CPU provider as well (--level 3)");
  target.one_of({"onnxruntime"});
  command.add_option("--passes", options->passes, "pass names, comma-separated, instead of a level; see hone passes")
      .excludes(target);
  command.add_option("--opset", options->opset, "version of the ai.onnx operators to convert to");
  command
      .add_option("--shape", options->shapes, "fix or free an input's dimensions: x=1,3,224,224 or x=batch,3,224,224")
      .type_name("INPUT=DIMS");
  command.add_option("--dim", options->dims, "give a symbolic dimension a size").type_name("SYMBOL=N");
  command
      .add_option("--batch", options->batch,
                  "first dimension of every input: a number, or a name to make it dynamic; constants that baked it in "
                  "are rewritten")
      .type_name("N|NAME");
  command
      .add_option("--verify", options->verify, "run both models on the same inputs: auto (when cheap), always, never")
      .one_of({"auto", "always", "never"});
  command.add_option("--fold-limit", options->fold_limit, "largest constant to fold that makes the file grow")
      .type_name("SIZE");
  command.add_option("--verify-inputs", options->verify_inputs, "one more set of inputs to verify on, by name")
      .type_name("FILE.npz");
  const std::string lower = "Precision";
  command
      .add_option("--precision", options->precision,
                  "fp16, bf16: weights and computation in half precision; mixed: float16 where --data allow it")
      .one_of({"fp32", "fp16", "bf16", "mixed"})
      .group(lower);
  command
      .add_option("--io-precision", options->io_precision,
                  "keep: inputs and outputs keep their types; same: they change too")
      .one_of({"keep", "same"})
      .group(lower);
  command
      .add_option("--keep-fp32", options->keep_fp32,
                  "nodes whose name holds, or whose operator is, a match stay in float32")
      .type_name("REGEX")
      .group(lower);
  command
      .add_option("--max-error", options->max_error,
                  "largest error at an output, relative to its largest value, on --data (mixed: 0.001)")
      .positive()
      .group(lower);
  options->data.add_to(command, false);
  command.add_option("--samples", options->samples, "rows of --data to run, for verification and precision")
      .positive()
      .show_default()
      .group("Data");
  const std::string names = "Names and metadata";
  command.add_option("--rename", options->rename, "rename a tensor, an input or output say; repeatable")
      .type_name("OLD=NEW")
      .group(names);
  command.add_option("--order-inputs", options->order_inputs, "these inputs first, in this order")
      .type_name("A,B,...")
      .group(names);
  command.add_option("--order-outputs", options->order_outputs, "these outputs first, in this order")
      .type_name("A,B,...")
      .group(names);
  command
      .add_flag("--strip-debug-info", options->strip_debug_info,
                "drop exporters' stack traces, scopes and source paths, and doc strings but the model's own")
      .group(names);
  command.add_flag("--strip-doc-strings", options->strip_doc_strings, "drop all doc strings").group(names);
  command
      .add_option("--strip-metadata", options->strip_metadata,
                  "drop metadata entries whose key matches, wherever they are")
      .type_name("REGEX")
      .group(names);
  const std::string group = "Looking into passes";
  command.add_flag("--print-passes", options->print_passes, "list the passes that will run").group(group);
  command.add_flag("--time-passes", options->time_passes, "print time and applications of each pass").group(group);
  command.add_flag("--verify-passes", options->convert.verify_passes, "verify after each pass and name a wrong one")
      .group(group);
  command.add_flag("--bisect", options->convert.bisect, "verify, and find the single rewrite that changed the results")
      .group(group);
  command
      .add_option("--reproducer", options->convert.reproducer,
                  "if a rewrite is found wrong, leave the model before it here, and inputs beside it (.npz)")
      .type_name("FILE")
      .group(group);
  command.add_option("--rewrite-limit", options->convert.passes.rewrite_limit, "stop after this many rewrites")
      .type_name("N")
      .group(group);
  command.add_option("--dump-after", options->dump_after, "print the model as text after PASS")
      .type_name("PASS")
      .group(group);
  common.add_to(command);
  command.footer("Example: hone convert model.onnx -o - | hone inspect -");
  command.callback([options, &common, command] {
    options->level_given = command.count("--level") > 0;
    run(*options, common);
  });
}

}  // namespace hone::tools
