#include "sim/platform.h"

#include <xbt/log.h>

#include <csignal>
#include <simgrid/kernel/routing/NetPoint.hpp>
#include <simgrid/kernel/routing/NetZoneImpl.hpp>
#include <string>
#include <utility>

#include "core/base/error.h"

namespace meshattn::sim {

namespace {

namespace s4u = simgrid::s4u;
namespace routing = simgrid::kernel::routing;

/// A zone that computes routes when asked, without a table. Hosts are created in the order of their ranks.
class ComputedZone : public routing::NetZoneImpl {
 public:
  ComputedZone(const Network& network, const std::vector<s4u::Link*>& links)
      : NetZoneImpl("cluster"), network_(network), links_(links) {}

  // Without latency: SimGrid would share links in proportion to its inverse. Start-ups are the engine's.
  void get_local_route(const routing::NetPoint* from, const routing::NetPoint* to, routing::Route* into,
                       double* /*latency*/) override {
    for (LinkId link : network_.route(static_cast<Rank>(from->id()), static_cast<Rank>(to->id())))
      into->link_list_.push_back(links_[link]->get_impl());
  }

 private:
  const Network& network_;
  const std::vector<s4u::Link*>& links_;
};

/// @throws SimulationError the second time.
std::string once_per_process() {
  static bool used = false;
  if (std::exchange(used, true)) throw SimulationError("a second simulation in one process: use simulate_isolated");
  xbt_log_control_set("root.thresh:critical");
  return "meshattn";
}

/// Shares links equally, without effects of TCP. A flow ends within `surf/precision` seconds of its exact time.
void configure() {
  for (const char* setting :
       {"network/model:CM02", "network/TCP-gamma:0", "network/crosstraffic:0", "network/latency-factor:1",
        "network/bandwidth-factor:1", "network/weight-S:0", "network/optim:Lazy", "surf/precision:1e-10"})
    s4u::Engine::set_config(setting);
}

}  // namespace

Platform::Platform(const Network& network) : network_(network), link_load_(network), engine_(once_per_process()) {
  std::signal(SIGINT, SIG_DFL);  // SimGrid's handler would list actors and leave through exit()
  configure();
  auto* zone = new ComputedZone(network, links_);  // SimGrid owns it
  for (Rank rank = 0; rank < network.gpus(); ++rank)
    hosts_.push_back(zone->get_iface()->create_host("rank " + std::to_string(rank), 1.0));
  for (const Link& link : network.links())
    links_.push_back(zone->get_iface()->create_link(link.name, link.bytes_per_s));
  zone->get_iface()->seal();
  for (auto* model : engine_.get_all_models())
    if (model->get_name() == "Network_CM02") model_ = model;
  if (model_ == nullptr) throw SimulationError("SimGrid has no network model CM02");
  s4u::Engine::on_time_advance_cb([this](double) { end_finished_flows(); });
}

std::uint32_t Platform::make_flow(Rank from, Rank to) {
  const auto flow = static_cast<std::uint32_t>(flows_.size());
  // SimGrid limits a communication by the bandwidths that its links have when it is made, forever. So links have their
  // highest bandwidth meanwhile.
  const Route route = network_.route(from, to);
  for (LinkId link : route) links_[link]->set_bandwidth(network_.links()[link].bytes_per_s);
  const s4u::CommPtr comm =
      s4u::Comm::sendto_async(hosts_[static_cast<std::size_t>(from)], hosts_[static_cast<std::size_t>(to)], 1);
  comm->set_state(s4u::Activity::State::FINISHED);  // no actor waits for it
  // The action that was just started is the last in the model's list.
  Action* action = &model_->get_started_action_set()->back();
  action->suspend();
  for (LinkId link : route) set_capacity(link);
  flows_.push_back({action, nullptr, {}, from, to, route});
  flow_of_.emplace(action, flow);
  return flow;
}

void Platform::send(Rank from, Rank to, double bytes, Event arrived) {
  const std::uint64_t path = static_cast<std::uint64_t>(from) << 32 | static_cast<std::uint32_t>(to);
  std::vector<std::uint32_t>& idle = idle_[path];
  if (idle.empty()) {
    idle.push_back(make_flow(from, to));
    flows_.back().idle = &idle;
  }
  Flow& flow = flows_[idle.back()];
  idle.pop_back();
  flow.arrived = arrived;
  flow.action->set_remains(bytes);
  flow.action->set_last_value(0);
  flow.action->set_last_update();
  flow.action->resume();
  link_load_.add_message(from, to, flow.route);
  // `resume` shares only the first link anew, and not always the links behind it.
  for (LinkId link : flow.route) set_capacity(link);
}

void Platform::set_computing(Rank rank, bool computes) {
  const Route slowed = link_load_.count_compute(rank, computes ? 1 : -1);
  for (LinkId link : slowed) set_capacity(link);
}

void Platform::set_capacity(LinkId link) { links_[link]->set_bandwidth(link_load_.capacity(link)); }

/// Suspends flows that have ended before SimGrid ends their communications, and delivers their events.
void Platform::end_finished_flows() {
  auto* ended = model_->get_finished_action_set();
  while (!ended->empty()) {
    Action& action = ended->front();
    action.suspend();
    action.set_state(Action::State::STARTED);
    finished_.push_back(flow_of_.at(&action));
  }
  for (std::size_t i = 0; i < finished_.size(); ++i) {
    const Flow& flow = flows_[finished_[i]];
    const Event arrived = flow.arrived;
    flow.idle->push_back(finished_[i]);
    if (network_.bandwidth_depends_on_pairs()) {
      link_load_.remove_message(flow.from, flow.to, flow.route);
      for (LinkId link : flow.route) set_capacity(link);
    }
    handle_(arrived);
  }
  finished_.clear();
}

void Platform::run(std::function<void(Event)> handle) {
  handle_ = std::move(handle);
  engine_.run();
}

}  // namespace meshattn::sim
