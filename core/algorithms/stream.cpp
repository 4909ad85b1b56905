#include "core/algorithms/stream.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/algorithms/chunks.h"

namespace meshattn {

namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

}  // namespace

Stream::Stream(ScheduleBuilder& b, const MeshForm& form, const SliceRings& side, std::vector<ValueId> own)
    : ulysses_(form.ulysses), values_(at(side.rings.hops() + 1)), transfers_(values_.size()) {
  const Problem& p = b.problem();
  values_[0] = std::move(own);
  for (int hop : side.rings.arrivals()) {
    values_[at(hop)].resize(values_[0].size());
    for (Rank r = 0; r < p.ranks; ++r) {
      const Rank origin = side.rings.origin(r, hop);
      const Rings::Sender sender = form.in == Travel::kRing ? side.rings.sender(r, hop) : Rings::Sender{origin, 0};
      for (int number = 0; number < ulysses_; ++number) {
        const ValueId source = value(sender.rank, sender.hop, number);
        const Value& v = b.value(source);
        const HeadRange heads = form.heads(p.shape, r, side.slice, v.tensor);
        const Rank chunk = form.first_in_slot(origin) + number;
        const RegionId region = b.heads(source) == heads ? v.region : b.chunk_region(chunk, chunk, heads);
        const TransferId t = b.transfer(source, region, r, side.lane_of(hop));
        transfers_[at(hop)].push_back(t);
        values_[at(hop)][at(r * ulysses_ + number)] = b.made(t);
      }
    }
  }
}

Reduction::Reduction(ScheduleBuilder& b, const MeshForm& form, const SliceRings& side, Tensor tensor, Dtype wire)
    : form_(form),
      tensor_(tensor),
      wire_(wire),
      accumulators_(at(side.rings.hops() + 1)),
      received_(at(b.problem().ranks)) {
  for (int hop = 0; hop <= side.rings.hops(); ++hop)
    for (Rank r = 0; r < b.problem().ranks; ++r) {
      const Rank first = form.first_in_slot(side.rings.origin(r, hop));
      const HeadRange heads = form.heads(b.problem().shape, r, side.slice, tensor);
      accumulators_[at(hop)].push_back(
          b.declare(r, tensor, b.chunk_region(first, first + form.ulysses - 1, heads), Dtype::kFp32));
    }
}

/// The partials received for the slot that arrived with a hop, and its accumulator here.
std::vector<ValueId> Reduction::take(Rank r, int hop) {
  std::vector<ValueId> parts;
  std::erase_if(received_[at(r)], [&](const Received& a) {
    if (a.hop == hop) parts.push_back(a.partial);
    return a.hop == hop;
  });
  if (hop > 0 || !own_departed_) parts.push_back(accumulator(r, hop));
  return parts;
}

void Reduction::depart(ScheduleBuilder& b, const SliceRings& side, int count) {
  if (form_.out == Travel::kDirect) combine_at_owners(b);
  const Rings& rings = side.rings;
  struct Sent {
    TransferId transfer;
    Rank owner;
  };
  std::vector<Sent> sent;
  std::vector<TransferId> transfers;
  for (int i = 0; i < count; ++i) {
    const int hop = rings.departures()[departed_++];
    for (Rank r = 0; r < b.problem().ranks; ++r) {
      const ValueId partial = merged(b, take(r, hop), wire_);
      const Rank owner = rings.origin(r, hop);
      transfers.push_back(
          b.transfer(partial, form_.out == Travel::kRing ? rings.receiver(r, hop) : owner, side.lane_of(hop)));
      sent.push_back({transfers.back(), owner});
    }
    own_departed_ = own_departed_ || hop == 0;
  }
  b.exchange_all(transfers);
  for (const auto& [transfer, owner] : sent) {
    const ValueId made = b.made(transfer);
    const Rank here = b.value(made).rank;
    received_[at(here)].push_back({rings.hop_of(here, owner), made});
  }
}

/// Combines directly received partials before the next ones are sent: they have come by then, unless links are slower
/// than blocks.
void Reduction::combine_at_owners(ScheduleBuilder& b) {
  for (std::vector<Received>& received : received_) {
    if (received.size() < 2) continue;
    std::vector<ValueId> parts;
    for (const Received& a : received) parts.push_back(a.partial);
    received = {{0, b.combine(parts, Dtype::kFp32)}};
  }
}

void Reduction::finish(ScheduleBuilder& b, const SliceRings& side) {
  if (form_.ulysses > 1) return finish_in_slots(b, side);
  for (Rank r = 0; r < b.problem().ranks; ++r) hand_out(b, take(r, 0));
}

void Reduction::finish_in_slots(ScheduleBuilder& b, const SliceRings& side) {
  const Problem& p = b.problem();
  const int u = form_.ulysses;
  const auto region = [&](Rank chunk, Rank head_owner) {
    return b.chunk_region(chunk, chunk, form_.heads(p.shape, head_owner, side.slice, tensor_));
  };
  // Replicated key/value heads have a partial at each of several ranks.
  const bool partial = on_kv_side(tensor_) && u > p.shape.kv_heads;
  std::vector<std::vector<ValueId>> own(at(p.ranks));
  std::vector<TransferId> transfers;
  for (Rank r = 0; r < p.ranks; ++r) {
    own[at(r)] = take(r, 0);
    const Rank first = form_.first_in_slot(r);
    std::vector<Cell> cells;
    for (Cell c = static_cast<Cell>(first * p.pieces()); c < static_cast<Cell>((first + u) * p.pieces()); ++c)
      if (p.owner(c) != r) cells.push_back(c);
    const HeadRange heads = form_.heads(p.shape, r, side.slice, tensor_);
    const ValueId others = b.combine(own[at(r)], b.region(cells, heads), partial ? wire_ : p.shape.dtype);
    for (Rank chunk = first; chunk < first + u; ++chunk)
      if (chunk != r) transfers.push_back(b.transfer(others, region(chunk, r), chunk, side.lane));
  }
  b.exchange_all(transfers);
  std::vector<std::vector<ValueId>> received(at(p.ranks));
  for (TransferId t : transfers) received[at(b.value(b.made(t)).rank)].push_back(b.made(t));
  for (Rank r = 0; r < p.ranks; ++r) {
    std::vector<ValueId> parts = own[at(r)];
    const RegionId mine = region(r, r);
    for (ValueId v : received[at(r)])
      if (!partial)
        b.output(v);
      else if (b.value(v).region == mine)
        parts.push_back(v);
    b.output(b.combine(parts, mine, p.shape.dtype));
    if (!partial) continue;
    // The other heads: the partials of the ranks that share one.
    std::ranges::stable_sort(received[at(r)], {}, [&](ValueId v) { return b.value(v).region; });
    for (auto begin = received[at(r)].begin(); begin != received[at(r)].end();) {
      const RegionId head = b.value(*begin).region;
      const auto end = std::find_if(begin, received[at(r)].end(), [&](ValueId v) { return b.value(v).region != head; });
      if (head != mine) b.output(b.combine({begin, end}, p.shape.dtype));
      begin = end;
    }
  }
}

}  // namespace meshattn
