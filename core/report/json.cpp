#include "core/report/json.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "core/base/format.h"

namespace meshattn {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLinksShown = 10;

Json json_of(const Volume& v) {
  return {{"bytes_received_avg", v.bytes_received_avg},      {"bytes_received_max", v.bytes_received_max},
          {"chunks_received_avg", v.chunks_received_avg},    {"inter_node_bytes_avg", v.inter_node_bytes_avg},
          {"inter_node_bytes_max", v.inter_node_bytes_max},  {"inter_node_chunks_avg", v.inter_node_chunks_avg},
          {"inter_node_chunks_max", v.inter_node_chunks_max}};
}

Json json_of(const Summary& s, std::size_t most_links) {
  Json links = Json::array(), waits = Json::array();
  for (std::size_t i = 0; i < std::min(most_links, s.links.size()); ++i) {
    const LinkUse& l = s.links[i];
    links.push_back({{"name", l.name}, {"bytes", l.bytes}, {"busy_s", l.busy_s}, {"utilisation", l.utilisation}});
  }
  const auto [least_s, most_s] = range_s(s);
  for (const Wait& w : s.waits) waits.push_back({{"for", w.what}, {"seconds", w.seconds}, {"share", w.share}});
  return {{"placed", s.placed},
          {"slices", s.slices},
          {"makespan_s", s.makespan_s},
          {"range_s", {least_s, most_s}},
          {"corners_s", s.corners_s},
          {"compute_s", s.compute_s},
          {"waiting", s.waiting},
          {"compute_balance", s.compute_balance},
          {"bounds",
           {{"compute_s", s.bounds.compute_s},
            {"busiest_link_s", s.bounds.busiest_link_s},
            {"busiest_link", s.bounds.busiest_link}}},
          {"problem_bound_s", s.problem_bound_s},
          {"volume", json_of(s.volume)},
          {"peak_bytes", s.peak_bytes},
          {"transfers", s.transfers},
          {"ops", s.ops},
          {"wall", {{"plan_s", s.wall.plan_s}, {"validate_s", s.wall.verify_s}, {"simulate_s", s.wall.simulate_s}}},
          {"links", links},
          {"waits", waits}};
}

Json json_of(const Question& q) {
  const AttentionShape& shape = q.problem.shape;
  Json passes = q.passes.size() == 1 ? Json(name_of(q.passes.front())) : Json("both");
  Json problem{{"seq_q", shape.seq_q},
               {"seq_kv", shape.seq_kv},
               {"batch", shape.batch},
               {"heads", shape.heads},
               {"kv_heads", shape.kv_heads},
               {"head_dim", shape.head_dim},
               {"dtype", name_of(shape.dtype)},
               {"mask", name_of(q.problem.mask)},
               {"partition", q.partition_open ? "fastest" : name_of(q.problem.partition)},
               {"gpus", q.problem.ranks}};
  Json json{{"version", q.version}, {"command", q.command}};
  if (!q.model.empty()) json["model"] = q.model;
  json["problem"] = std::move(problem);
  json["cluster"] = q.cluster;
  if (!q.framework.empty()) json["framework"] = q.framework;
  json["figures"] = q.figures;
  json["figures_assumed"] = q.assumed;
  if (q.is_planned) json["order"] = q.order ? name_of(*q.order) : "fastest";
  json["pass"] = std::move(passes);
  if (q.is_planned) json["wire_dtype"] = name_of(q.wire);
  json["placement"] = name_of(q.placement);
  return json;
}

/// What was chosen: keys of what is not chosen are left out.
void append(Json& json, std::span<const MeshForm> forms) {
  if (forms.empty()) return;
  const MeshForm& form = forms.front();
  json["tile"] = tile_text(form.tile);
  if (forms.back().tile != form.tile) json["tile_backward"] = tile_text(forms.back().tile);
  if (form.ulysses > 1) json["ulysses"] = form.ulysses;
  if (form.inner > 0) json["inner"] = form.inner;
  if (form.in == Travel::kDirect) json["exchange"] = "direct";
}

/// Adds the outcome's keys to those that stand in `json`.
void append(Json& json, const Question& question, const Outcome& outcome) {
  json["algorithm"] = outcome.algorithm;
  json["choice"] = outcome.choice;
  append(json, outcome.forms);
  if (outcome.passes.empty()) {
    json["not_possible"] = outcome.impossible;
    return;
  }
  json["partition"] = name_of(outcome.partition);
  json.update(json_of(outcome.total(), kLinksShown));
  if (outcome.passes.size() == 1) return;
  for (std::size_t i = 0; i < outcome.passes.size(); ++i)
    json[std::string(name_of(question.passes[i]))] = json_of(outcome.passes[i], kLinksShown);
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

Summary Outcome::total() const {
  Summary sum = passes.front();
  for (std::size_t i = 1; i < passes.size(); ++i) sum = one_after_other(sum, passes[i]);
  return sum;
}

void write_json(std::ostream& out, const Question& question, const Outcome& outcome) {
  Json json = json_of(question);
  append(json, question, outcome);
  out << json.dump(2) << '\n';
}

void write_json(std::ostream& out, const Question& question, std::span<const Outcome> outcomes) {
  Json json = json_of(question), rows = Json::array();
  for (const Outcome& outcome : outcomes) {
    append(rows.emplace_back(Json::object()), question, outcome);
    if (outcome.passes.empty()) continue;
    rows.back()["fastest"] = outcome.is_fastest;
    rows.back()["within_range"] = outcome.within_range;
  }
  json["rows"] = std::move(rows);
  out << json.dump(2) << '\n';
}

void write_json(std::ostream& out, const Question& question, std::string_view algorithm,
                std::span<const MeshForm> forms, std::span<const PlanFacts> passes) {
  Json json = json_of(question);
  json["algorithm"] = algorithm;
  append(json, forms);
  for (std::size_t i = 0; i < passes.size(); ++i) json[std::string(name_of(question.passes[i]))] = json_of(passes[i]);
  out << json.dump(2) << '\n';
}

std::string to_text(const Summary& summary) { return json_of(summary, summary.links.size()).dump(); }

Summary summary_from(std::string_view text) {
  const Json json = Json::parse(text);
  Summary s;
  const auto read = [](const Json& from, const char* key, auto& to) { from.at(key).get_to(to); };
  read(json, "placed", s.placed);
  read(json, "slices", s.slices);
  read(json, "makespan_s", s.makespan_s);
  read(json, "corners_s", s.corners_s);
  read(json, "compute_s", s.compute_s);
  read(json, "waiting", s.waiting);
  read(json, "compute_balance", s.compute_balance);
  read(json.at("bounds"), "compute_s", s.bounds.compute_s);
  read(json.at("bounds"), "busiest_link_s", s.bounds.busiest_link_s);
  read(json.at("bounds"), "busiest_link", s.bounds.busiest_link);
  read(json, "problem_bound_s", s.problem_bound_s);
  read(json.at("volume"), "bytes_received_avg", s.volume.bytes_received_avg);
  read(json.at("volume"), "bytes_received_max", s.volume.bytes_received_max);
  read(json.at("volume"), "chunks_received_avg", s.volume.chunks_received_avg);
  read(json.at("volume"), "inter_node_bytes_avg", s.volume.inter_node_bytes_avg);
  read(json.at("volume"), "inter_node_bytes_max", s.volume.inter_node_bytes_max);
  read(json.at("volume"), "inter_node_chunks_avg", s.volume.inter_node_chunks_avg);
  read(json.at("volume"), "inter_node_chunks_max", s.volume.inter_node_chunks_max);
  read(json, "peak_bytes", s.peak_bytes);
  read(json, "transfers", s.transfers);
  read(json, "ops", s.ops);
  read(json.at("wall"), "plan_s", s.wall.plan_s);
  read(json.at("wall"), "validate_s", s.wall.verify_s);
  read(json.at("wall"), "simulate_s", s.wall.simulate_s);
  for (const Json& l : json.at("links"))
    s.links.push_back({l.at("name"), l.at("bytes"), l.at("busy_s"), l.at("utilisation")});
  for (const Json& w : json.at("waits")) s.waits.push_back({w.at("for"), w.at("seconds"), w.at("share")});
  return s;
}

}  // namespace meshattn
