#include "core/report/json.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "core/report/summary_keys.h"

namespace meshattn {

using Json = nlohmann::ordered_json;

static void to_json(Json& json, const LinkUse& l) {
  json = {{"name", l.name}, {"bytes", l.bytes}, {"busy_s", l.busy_s}, {"utilisation", l.utilisation}};
}
static void from_json(const Json& json, LinkUse& l) {
  l = {json.at("name"), json.at("bytes"), json.at("busy_s"), json.at("utilisation")};
}
static void to_json(Json& json, const Wait& w) { json = {{"for", w.what}, {"seconds", w.seconds}, {"share", w.share}}; }
static void from_json(const Json& json, Wait& w) { w = {json.at("for"), json.at("seconds"), json.at("share")}; }

namespace {

constexpr std::size_t kLinksShown = 10;

/// The value of one key of an object; a new one if the object can change.
Json& child(Json& json, std::string_view key) { return json[std::string(key)]; }
const Json& child(const Json& json, std::string_view key) { return json.at(std::string(key)); }

/// The value of a key; a dot separates it from the object that holds it.
template <typename J>
J& value_of(J& json, std::string_view key) {
  const std::size_t dot = key.find('.');
  if (dot == std::string_view::npos) return child(json, key);
  return child(child(json, key.substr(0, dot)), key.substr(dot + 1));
}

Json json_of(Summary s, std::size_t most_links) {
  s.links.resize(std::min(most_links, s.links.size()));
  Json json;
  for_each_key([&](std::string_view key, Total, auto... members) {
    value_of(json, key) = member_of(s, members...);
    if (key != "makespan_s") return;
    const auto [least_s, most_s] = range_s(s);
    json["range_s"] = {least_s, most_s};
  });
  return json;
}

/// The keys of a volume, as in a summary.
Json json_of(const Volume& volume) {
  Summary s;
  s.volume = volume;
  return json_of(std::move(s), 0).at("volume");
}

Summary summary_of(const Json& json) {
  Summary s;
  for_each_key(
      [&](std::string_view key, Total, auto... members) { value_of(json, key).get_to(member_of(s, members...)); });
  return s;
}

Json json_of(const Request& r) {
  const AttentionShape& shape = r.problem.shape;
  Json passes = r.passes.size() == 1 ? Json(name_of(r.passes.front())) : Json("both");
  Json problem{{"seq_q", shape.seq_q},
               {"seq_kv", shape.seq_kv},
               {"batch", shape.batch},
               {"heads", shape.heads},
               {"kv_heads", shape.kv_heads},
               {"head_dim", shape.head_dim},
               {"dtype", name_of(shape.dtype)},
               {"mask", name_of(r.problem.mask)},
               {"partition", tries_partitions(r) ? "fastest" : name_of(r.problem.partition)},
               {"gpus", r.problem.ranks}};
  Json json{{"version", r.origin.version}, {"command", r.origin.command}};
  if (!r.origin.model.empty()) json["model"] = r.origin.model;
  json["problem"] = std::move(problem);
  json["cluster"] = r.cluster.name;
  if (!r.origin.framework.empty()) json["framework"] = r.origin.framework;
  const FigureCount figures = count_figures(r.cluster);
  json["figures"] = figures.all;
  json["figures_assumed"] = figures.assumed;
  if (r.origin.is_planned) json["order"] = r.order ? name_of(*r.order) : "fastest";
  json["pass"] = std::move(passes);
  if (r.origin.is_planned) json["wire_dtype"] = name_of(r.wire);
  json["placement"] = name_of(r.placement);
  return json;
}

/// The options that were chosen; keys of others are left out.
void append(Json& json, const Plan& plan) {
  if (plan.phases.empty()) return;
  const MeshForm& form = plan.phases.front().configuration.form;
  const Tile last = plan.phases.back().configuration.form.tile;
  json["tile"] = tile_text(form.tile);
  if (last != form.tile) json["tile_backward"] = tile_text(last);
  if (form.ulysses > 1) json["ulysses"] = form.ulysses;
  if (form.inner > 0) json["inner"] = form.inner;
  if (form.in == Travel::kDirect) json["exchange"] = "direct";
}

/// Appends the result's keys.
void append(Json& json, const Request& request, const Result& result) {
  json["algorithm"] = result.algorithm;
  json["choice"] = result.choice;
  append(json, result.plan);
  if (!result.is_possible()) {
    json["not_possible"] = result.impossible;
    return;
  }
  json["partition"] = name_of(result.partition);
  json.update(json_of(result.total(), kLinksShown));
  if (result.summaries.size() == 1) return;
  for (std::size_t i = 0; i < result.summaries.size(); ++i)
    json[std::string(name_of(request.passes[i]))] = json_of(result.summaries[i], kLinksShown);
}

Json json_of(const PlanFacts& f) {
  Json findings = Json::array();
  for (const Finding& finding : f.findings) {
    Json json{{"rank", finding.rank}, {"what", finding.what}};
    if (finding.op != kNone) json["op"] = finding.op;
    if (finding.value != kNone) json["value"] = finding.value;
    findings.push_back(std::move(json));
  }
  Json json{{"placed", f.placed},
            {"exchanges_max", f.exchanges_max},
            {"attends_max", f.attends_max},
            {"ops", f.ops},
            {"transfers", f.transfers},
            {"values", f.values},
            {"volume", json_of(f.volume)},
            {"peak_bytes", f.peak_bytes},
            {"bytes",
             {{"resident", f.bytes.resident},
              {"row_in", f.bytes.row_in},
              {"column_in", f.bytes.column_in},
              {"row_sum", f.bytes.row_sum},
              {"column_sum", f.bytes.column_sum},
              {"row_out", f.bytes.row_out},
              {"column_out", f.bytes.column_out}}},
            {"proved", f.findings.empty()},
            {"findings", std::move(findings)}};
  if (f.one_lane)
    json["one_lane"] = {{"naive_s", f.one_lane->naive},
                        {"greedy_s", f.one_lane->greedy},
                        {"optimal_s", f.one_lane->optimal},
                        {"lower_bound_s", f.one_lane->lower_bound}};
  return json;
}

}  // namespace

void write_json(std::ostream& out, const Request& request, const Result& result) {
  Json json = json_of(request);
  append(json, request, result);
  out << json.dump(2) << '\n';
}

void write_json(std::ostream& out, const Request& request, std::span<const Result> results) {
  Json json = json_of(request), rows = Json::array();
  for (const Result& result : results) {
    append(rows.emplace_back(Json::object()), request, result);
    if (!result.is_possible()) continue;
    rows.back()["fastest"] = result.is_fastest;
    rows.back()["within_range"] = result.within_range;
  }
  json["rows"] = std::move(rows);
  out << json.dump(2) << '\n';
}

void write_json(std::ostream& out, const Request& request, const Plan& plan, std::span<const PlanFacts> phases) {
  Json json = json_of(request);
  json["algorithm"] = plan.phases.front().configuration.algorithm->name;
  append(json, plan);
  for (std::size_t i = 0; i < phases.size(); ++i) json[std::string(name_of(request.passes[i]))] = json_of(phases[i]);
  out << json.dump(2) << '\n';
}

FigureCount count_figures(const Cluster& cluster) {
  FigureCount count;
  const auto add = [&](const std::string& source) {
    ++count.all;
    if (source.starts_with("assumed")) ++count.assumed;
  };
  for (const auto& [key, figure] : cluster.figures) add(figure.source);
  for (const AttentionPoint& point : cluster.gpu.attention) add(point.source);
  return count;
}

std::string to_text(const Summary& summary) { return json_of(summary, summary.links.size()).dump(); }

Summary read_summary(std::string_view text) { return summary_of(Json::parse(text)); }

std::string to_text(const Result& result) {
  std::string lines(name_of(result.partition));
  for (const Summary& summary : result.summaries) lines += '\n' + to_text(summary);
  return lines;
}

Result read_result(std::string_view text, const Request& request) {
  std::istringstream lines{std::string(text)};
  std::string line;
  std::getline(lines, line);
  Request chosen = request;
  chosen.problem.partition = parse_partition(line);
  Plan plan;
  std::vector<Summary> summaries;
  for (Configuration& c : configure(chosen)) {
    std::getline(lines, line);
    const Summary& summary = summaries.emplace_back(read_summary(line));
    c.form.slices = summary.slices;
    c.choose_slices = false;
    plan.phases.push_back({.configuration = std::move(c)});
  }
  plan.placement.name = summaries.front().placed;
  Result result = result_of(std::move(plan));
  result.summaries = std::move(summaries);
  return result;
}

}  // namespace meshattn
