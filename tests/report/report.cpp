// Reports: the JSON, the tables, and what build servers get; names in them may hold anything.
#include "hone/report/report.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "hone/report/table.h"
#include "temporary_folder.h"

namespace hone::report {
namespace {

using Catch::Matchers::Contains;
using ir::Tensor;

metrics::Evaluation evaluation(const std::vector<std::int64_t>& answers) {
  metrics::Evaluation result({metrics::Task::classification, metrics::Scores::answers});
  result.add(Tensor::vector<std::int64_t>(answers), Tensor::vector<std::int64_t>({0, 1, 1, 0}));
  return result;
}

const std::vector<std::string> class_names = {"cat", "größe"};

Report sample() {
  Report report("validate");
  report.add_input("model", "small.onnx", 198'000, "abc");
  report.set_option("label", "y");
  report.set_data("test.npz", 4, "y", class_names);
  const auto now = evaluation({0, 1, 0, 0}), before = evaluation({0, 1, 1, 0});
  report.add({"accuracy", metrics::Unit::share, 0.75, 1.0, metrics::wilson(3, 4), {}, 4});
  report.add({"size", metrics::Unit::bytes, 198'000, 800'000.0});
  report.add({"auc", metrics::Unit::share, std::nan(""), {}, {}, {}, 4, "rows of one class only"});
  report.set_confusion(now, class_names);
  metrics::OutputComparison output("y|<b>");
  output.add(Tensor::of<float>({1, 2}, {1, 2}), Tensor::of<float>({1, 2}, {1, std::nanf("")}));
  report.add_comparison(output);
  report.set_latency("model", metrics::summarize(std::vector<double>{0.001, 0.002, 0.003}));
  metrics::Measurements measurements;
  measurements.set_evaluation(&now, &before, class_names);
  measurements.set("size", 198'000);
  std::vector<metrics::Gate> gates;
  for (const char* gate :
       {"accuracy >= 70%", "accuracy drop <= 0.5pp", "recall[class='<x>|]'] >= 1%", "size <= 200KB"}) {
    if (std::string(gate).find("<x>") == std::string::npos) gates.push_back(metrics::parse_gate(gate));
  }
  gates.push_back(metrics::parse_gate("recall[class='<x>|\x1b'] >= 1%"));
  report.add(metrics::judge(gates, measurements));
  report.warn("two\nlines & a |");
  return report;
}

}  // namespace

TEST_CASE("the report's JSON") {
  const testing::TemporaryFolder folder;
  const Report report = sample();
  report.write(folder.path("r.json"));
  const auto json = nlohmann::json::parse(folder.read("r.json"));
  CHECK(folder.read("r.json") == sample().json_text());
  CHECK(json["schema"] == "hone.report/1");
  CHECK(json["command"] == "validate");
  CHECK(json["outcome"] == "fail");
  CHECK(json["exit_code"] == 1);
  CHECK(json["metrics"][0]["value"] == 0.75);
  CHECK(json["metrics"][0]["change"] == -0.25);
  CHECK(json["metrics"][0]["interval"]["method"] == "Wilson");
  CHECK(json["metrics"][1]["value"].dump() == "198000");
  CHECK(json["metrics"][2]["value"].is_null());
  CHECK(json["confusion"]["counts"] == nlohmann::json::parse("[[2,0],[1,1]]"));
  CHECK(json["confusion"]["names"][1] == "größe");
  CHECK(json["comparisons"][0]["max_abs_diff"].is_null());
  CHECK(json["comparisons"][0]["mismatches"] == 1);
  CHECK(json["gates"][0]["outcome"] == "pass");
  CHECK(json["gates"][1]["outcome"] == "fail");
  CHECK(json["gates"][1]["value"] == 0.25);
  CHECK(json["gates"][3]["outcome"] == "not evaluated");
  CHECK(json["gates"][3]["value"].is_null());
}

TEST_CASE("outcomes follow exit codes") {
  Report report("convert");
  CHECK(report.json()["outcome"] == "done");
  report.set_error(Error(ErrorKind::bad_input, "reading \xff: cut short"));
  CHECK(report.json()["exit_code"] == 3);
  CHECK(report.json()["outcome"] == "error");
  CHECK(nlohmann::json::accept(report.json_text()));
  CHECK_THAT(junit(report), Contains("<error type=\"bad input\" message=\"reading \\xff: cut short\"/>"));
  CHECK_THAT(github_annotations(report), Contains("::error title=hone convert::reading"));
}

TEST_CASE("the report as text") {
  const std::string plain = text(sample());
  CHECK_THAT(plain, Contains("metric      value       95 % interval  baseline     change  note\n"));
  CHECK_THAT(plain, Contains("accuracy  75.00 %  30.06 % to 95.44 %  100.00 %  -25.00 pp\n"));
  CHECK_THAT(plain, Contains("size       198 kB"));
  CHECK_THAT(plain, Contains("FAIL  accuracy drop <= 0.5pp: fail, 25.00 pp"));
  CHECK_THAT(plain, Contains("2 of 4 gates passed, 1 fail, 1 not evaluated\n"));
  CHECK_THAT(plain, Contains("warning: two\\nlines & a |\n"));
  CHECK(plain.find('\x1b') == std::string::npos);
  CHECK_THAT(text(sample(), {.color = true}), Contains("\x1b[32mPASS\x1b[0m"));
}

TEST_CASE("JUnit XML") {
  const std::string xml = junit(sample());
  CHECK_THAT(xml, Contains("<testsuite name=\"hone validate\" tests=\"4\" failures=\"1\" errors=\"1\""));
  CHECK_THAT(xml, Contains("<property name=\"size\" value=\"198000\"/>"));
  CHECK_THAT(xml, Contains("name=\"accuracy drop &lt;= 0.5pp\""));
  CHECK_THAT(xml, Contains("recall[class=&apos;&lt;x&gt;|\\x1b&apos;]"));
  CHECK(xml.find('\x1b') == std::string::npos);
}

TEST_CASE("Markdown") {
  const std::string full = markdown(sample());
  CHECK_THAT(full, Contains("### hone validate: 2 of 4 gates passed"));
  CHECK_THAT(full, Contains("| ❌ | accuracy drop &lt;= 0.5pp: fail"));
  CHECK_THAT(full, Contains("| y\\|&lt;b&gt; |"));
  CHECK(full.find("<b>") == std::string::npos);
  const std::string cut = markdown(sample(), 300);
  CHECK(cut.size() <= 300);
  CHECK_THAT(cut, Catch::Matchers::EndsWith("(cut: too long)\n"));
  CHECK(markdown(sample(), 5).size() <= 5);
}

TEST_CASE("GitHub annotations") {
  const std::string lines = github_annotations(sample());
  CHECK_THAT(lines, Contains("::error title=hone validate::accuracy drop <= 0.5pp: fail"));
  CHECK_THAT(lines, Contains("::warning title=hone validate::two%0Alines & a |\n"));
  Report many("validate");
  for (int i = 0; i < 20; ++i) many.warn("w");
  const std::string shown = github_annotations(many);
  CHECK(std::count(shown.begin(), shown.end(), '\n') == 10);
  CHECK_THAT(shown, Contains("::and 11 more\n"));
}

TEST_CASE("tables align what people see") {
  Table table({"name", "n"});
  table.add({"größe", "1"});
  table.add({"日本", "22"});
  table.add({"e\u0301", "333"});
  table.add({"a\tb\x1b"});
  CHECK(table.text("  ") ==
        "  name        n\n"
        "  --------  ---\n"
        "  größe       1\n"
        "  日本       22\n"
        "  e\u0301         333\n"
        "  a\\tb\\x1b\n");
  CHECK(display_width("日本") == 4);
  CHECK(Table().text().empty());
  CHECK(Table().markdown().empty());
  CHECK(escape_xml("a<b>&\"'\n\x01\xff") == "a&lt;b&gt;&amp;&quot;&apos;&#10;\\x01\\xff");
  CHECK(escape_markdown("@me *b* <i>") == "&#64;me \\*b\\* &lt;i&gt;");
}

}  // namespace hone::report
