#include "core/algorithms/order/memory.h"

#include <algorithm>

namespace meshattn {

namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

/// Memory of the rows or of the columns of a tile.
struct TileSide {
  struct LineState {
    int uses_left = 0;
    bool arrived = false;
    bool forwarded = false;
    bool has_sum = false;
  };
  std::uint64_t in = 0, sum = 0, out = 0;  ///< bytes
  std::vector<LineState> lines;
  std::size_t received = 0;
  std::size_t sent = 0;

  /// Whether the next partial is made by a Combine: not the first one, unless it is cast.
  [[nodiscard]] bool combines() const { return sent > 0 || out != sum; }
  [[nodiscard]] bool can_send() const { return lines[sent + 1].uses_left == 0; }
  /// Whether a line is still read or sent on. The last line has no next rank.
  [[nodiscard]] bool in_use(std::size_t i) const {
    return lines[i].uses_left > 0 || (!lines[i].forwarded && i + 1 < lines.size());
  }

  /// Peak while a line is sent: the partial is made beside its sources, then the next one arrives beside it.
  [[nodiscard]] std::uint64_t to_send(std::uint64_t live) const {
    if (!combines()) return live + out;
    const std::uint64_t combining = live + out;
    return std::max(combining, combining + out - sum - (sent > 0 ? out : 0));
  }
  /// Bytes of the accumulators that blocks of lines begin … end − 1 begin.
  [[nodiscard]] std::uint64_t to_use(int begin, int end) const {
    std::uint64_t bytes = 0;
    for (int i = begin; i < end; ++i) bytes += lines[at(i)].has_sum ? 0 : sum;
    return bytes;
  }
};

/// Bytes held after some steps.
class MemoryUse {
 public:
  MemoryUse(Tile tile, const TileBytes& bytes, std::span<const TileStep> steps) : live_(bytes.resident) {
    rows_ = {bytes.row_in, bytes.row_sum, bytes.row_out, std::vector<TileSide::LineState>(at(tile.rows))};
    columns_ = {bytes.column_in, bytes.column_sum, bytes.column_out,
                std::vector<TileSide::LineState>(at(tile.columns))};
    rows_.lines[0].arrived = columns_.lines[0].arrived = true;
    for (const TileStep& step : steps)
      if (const auto* r = std::get_if<Rectangle>(&step)) {
        for (int row = r->row_begin; row < r->row_end; ++row) ++rows_.lines[at(row)].uses_left;
        for (int column = r->column_begin; column < r->column_end; ++column) ++columns_.lines[at(column)].uses_left;
      }
  }

  /// Whether the operands of a step have arrived.
  [[nodiscard]] bool is_ready(const TileStep& step) const {
    if (const auto* r = std::get_if<Rectangle>(&step))
      return rows_.lines[at(r->row_end - 1)].arrived && columns_.lines[at(r->column_end - 1)].arrived;
    const Hop hop = std::get<Hop>(step);
    return hop == Hop::kRowIn || hop == Hop::kColumnIn || (hop == Hop::kRowOut ? rows_ : columns_).can_send();
  }

  /// Most bytes held during the step.
  [[nodiscard]] std::uint64_t peak_bytes_of(const TileStep& step) const {
    if (const auto* r = std::get_if<Rectangle>(&step))
      return live_ + rows_.to_use(r->row_begin, r->row_end) + columns_.to_use(r->column_begin, r->column_end);
    const Hop hop = std::get<Hop>(step);
    const TileSide& side = hop == Hop::kRowIn || hop == Hop::kRowOut ? rows_ : columns_;
    return hop == Hop::kRowIn || hop == Hop::kColumnIn ? live_ + side.in : side.to_send(live_);
  }

  void apply(const TileStep& step) {
    if (const auto* r = std::get_if<Rectangle>(&step)) {
      use(rows_, r->row_begin, r->row_end);
      use(columns_, r->column_begin, r->column_end);
      return;
    }
    const Hop hop = std::get<Hop>(step);
    TileSide& side = hop == Hop::kRowIn || hop == Hop::kRowOut ? rows_ : columns_;
    if (hop == Hop::kRowIn || hop == Hop::kColumnIn)
      receive(side);
    else
      send(side);
  }

 private:
  void receive(TileSide& side) {
    live_ += side.in;
    side.lines[side.received].forwarded = true;
    release(side, side.received);
    side.lines[++side.received].arrived = true;
  }

  void send(TileSide& side) {
    live_ += side.out;                     // the partial that arrives
    live_ -= side.sum;                     // the accumulator that leaves
    if (side.sent > 0) live_ -= side.out;  // the partial that arrived before
    ++side.sent;
  }

  void use(TileSide& side, int begin, int end) {
    live_ += side.to_use(begin, end);
    for (int i = begin; i < end; ++i) {
      side.lines[at(i)].has_sum = true;
      --side.lines[at(i)].uses_left;
      release(side, at(i));
    }
  }

  void release(const TileSide& side, std::size_t i) {
    if (i > 0 && !side.in_use(i)) live_ -= side.in;
  }

  TileSide rows_, columns_;
  std::uint64_t live_;
};

}  // namespace

std::uint64_t peak_bytes_of(Tile tile, const TileBytes& bytes, std::span<const TileStep> steps) {
  MemoryUse memory(tile, bytes, steps);
  std::uint64_t peak = bytes.resident;
  for (const TileStep& step : steps) {
    peak = std::max(peak, memory.peak_bytes_of(step));
    memory.apply(step);
  }
  return peak;
}

std::optional<std::vector<TileStep>> delay_hops_to_fit(Tile tile, const TileBytes& bytes,
                                                       std::span<const TileStep> steps, std::uint64_t limit) {
  MemoryUse memory(tile, bytes, steps);
  std::vector<std::size_t> hops, rectangles;  // still to come, the next one last
  for (std::size_t i = steps.size(); i-- > 0;) (std::holds_alternative<Hop>(steps[i]) ? hops : rectangles).push_back(i);
  std::vector<TileStep> fitted;
  const auto take = [&](std::vector<std::size_t>& from) {
    if (from.empty() || !memory.is_ready(steps[from.back()]) || memory.peak_bytes_of(steps[from.back()]) > limit)
      return false;
    memory.apply(steps[from.back()]);
    fitted.push_back(steps[from.back()]);
    from.pop_back();
    return true;
  };
  while (fitted.size() < steps.size()) {
    const bool hop_first = rectangles.empty() || (!hops.empty() && hops.back() < rectangles.back());
    if (!take(hop_first ? hops : rectangles) && !take(hop_first ? rectangles : hops)) return std::nullopt;
  }
  return fitted;
}

namespace {

/// All columns (or rows) are gathered, the others streamed, `ahead` of them more than are in use.
LaneOrder stationary(const TileProblem& problem, bool columns_stay, int ahead) {
  const Hop gather = columns_stay ? Hop::kColumnIn : Hop::kRowIn, stream = columns_stay ? Hop::kRowIn : Hop::kColumnIn;
  const Hop leave = columns_stay ? Hop::kRowOut : Hop::kColumnOut, last = columns_stay ? Hop::kColumnOut : Hop::kRowOut;
  LaneOrder order;
  const auto add = [&](Hop hop, int times) { order.hops.insert(order.hops.end(), at(times), hop); };
  add(gather, problem.count_of(gather));
  const int streamed = problem.count_of(stream), first = std::min(ahead, streamed);
  add(stream, first);
  for (int i = 0; i < streamed; ++i) {
    if (i + first < streamed) add(stream, 1);
    if (problem.count_of(leave) > 0) add(leave, 1);
  }
  add(last, problem.count_of(last));
  const int lines = columns_stay ? problem.tile.rows : problem.tile.columns, length = problem.blocks() / lines;
  for (int i = 0; i < lines; ++i)
    for (int j = 0; j < length; ++j) order.blocks.push_back(columns_stay ? BlockAt{i, j} : BlockAt{j, i});
  return order;
}

}  // namespace

std::vector<LaneOrder> low_memory_orders(const TileProblem& problem) {
  std::vector<LaneOrder> all;
  for (bool columns_stay : {true, false})
    for (int ahead : {0, 1}) all.push_back(stationary(problem, columns_stay, ahead));
  return all;
}

}  // namespace meshattn
