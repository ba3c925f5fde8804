// Where things stand in the picture of the pipeline. Rows of stages from left to right; on narrow screens one stage below the other.

export const size = { coordinator: { width: 124, height: 98 }, card: { least: 192, most: 248 }, gap: 84, head: 40, rank: 70, more: 26, sums: 22, experts: 16, pad: 12, other: 52, row: 40, lane: 30 };

const mostRanks = 6;
const mostGap = 190;

/** @returns {height, coordinator, stages: [{x, y, width, height, ranks: [{x, y, more?}], experts, sums}], ways: [{path, x, y, anchor}], others} */
export function arrange(width, stages, others) {
  const wide = width >= size.coordinator.width + size.gap + size.card.least + 8;
  const place = wide && width >= 560 ? inRows(width, stages) : inColumn(width, stages);
  const perRow = Math.max(1, Math.floor((width - 2 + 12) / (200 + 12)));
  place.others = { x: 1, y: place.height + (others > 0 ? 30 : 0), perRow, gap: 12, width: Math.min(236, (width - 2 - (perRow - 1) * 12) / perRow) };
  if (others > 0) place.height = place.others.y + Math.ceil(others / perRow) * (size.other + 10);
  return place;
}

function ranksOf(stage, x, y) {
  const shown = stage.ranks.length <= mostRanks ? stage.ranks.length : mostRanks - 1;
  const ranks = Array.from({ length: shown }, (_, index) => ({ x: x + 12, y: y + size.head + index * size.rank }));
  const more = stage.ranks.length - shown;
  if (more > 0) ranks.push({ x: x + 12, y: y + size.head + shown * size.rank, more });
  const end = size.head + shown * size.rank + (more > 0 ? size.more : 0);
  const experts = stage.ranks.length > 1 && stage.experts ? { x: x + 12, y: y + end + 4 } : null;
  const below = end + (experts ? size.experts : 0);
  const sums = stage.ranks.length > 1 ? { x: x + 12, y: y + below + 4 } : null;
  return { ranks, experts, sums, height: below + (sums ? size.sums : 0) + size.pad - 8 };
}

function inRows(width, stages) {
  const { coordinator, card, gap } = size;
  const left = 1 + coordinator.width + gap;
  const perRow = Math.max(1, Math.min(stages.length || 1, Math.floor((width - 1 - left + gap) / (card.least + gap))));
  const cardWidth = Math.min(card.most, Math.floor((width - 1 - left - (perRow - 1) * gap) / perRow));
  const between = Math.max(gap, Math.min(mostGap, Math.floor((width - 2 - coordinator.width - perRow * cardWidth) / perRow)));
  const begin = 1 + coordinator.width + between;
  const placed = [];
  let [y, rowHeight] = [1, 0];
  stages.forEach((stage, index) => {
    if (index % perRow === 0 && index > 0) [y, rowHeight] = [y + rowHeight + size.row, 0];
    const x = begin + (index % perRow) * (cardWidth + between);
    const { ranks, experts, sums, height } = ranksOf(stage, x, y);
    rowHeight = Math.max(rowHeight, height);
    placed.push({ x, y, width: cardWidth, height, ranks, experts, sums });
  });
  const bottom = Math.max(y + rowHeight, 1 + coordinator.height);
  const seat = { x: 1, y: 1, width: coordinator.width, height: coordinator.height };
  return { height: bottom + size.lane + 14, coordinator: seat, stages: placed, ways: waysOfRows(seat, placed, bottom) };
}

function waysOfRows(coordinator, stages, bottom) {
  if (stages.length === 0) return [];
  const middle = 62;   // below a card's top, where its first worker is
  const from = coordinator.x + coordinator.width;
  const ways = [{ path: `M${from} ${1 + middle} H${stages[0].x}`, x: (from + stages[0].x) / 2, y: 1 + middle, anchor: "middle" }];
  for (let i = 1; i < stages.length; i++) {
    const [a, b] = [stages[i - 1], stages[i]];
    const [end, y] = [a.x + a.width, a.y + middle];
    if (a.y === b.y) {
      ways.push({ path: `M${end} ${y} H${b.x}`, x: (end + b.x) / 2, y, anchor: "middle" });
    } else {
      const lane = b.y - size.row / 2;
      ways.push({ path: `M${a.x + a.width / 2} ${a.y + a.height} V${lane} H${b.x - 20} V${b.y + middle} H${b.x}`, x: b.x - 26, y: b.y + middle, anchor: "end" });
    }
  }
  const last = stages.at(-1);
  const [start, down, home] = [last.x + last.width / 2, bottom + size.lane - 6, coordinator.x + coordinator.width / 2];
  const corner = 6;
  ways.push({
    path: `M${start} ${last.y + last.height} V${down - corner} q0 ${corner} ${-corner} ${corner} H${home + corner} q${-corner} 0 ${-corner} ${-corner} V${coordinator.y + coordinator.height}`,
    x: (coordinator.x + coordinator.width + stages[0].x) / 2, y: down - 1, anchor: "middle",
  });
  return ways;
}

function inColumn(width, stages) {
  const right = 26;   // room for the way back
  const cardWidth = width - 2 - right;
  const coordinator = { x: 1, y: 1, width: cardWidth, height: size.coordinator.height };
  let y = 1 + coordinator.height + size.row + 6;
  const placed = stages.map(stage => {
    const { ranks, experts, sums, height } = ranksOf(stage, 1, y);
    const at = { x: 1, y, width: cardWidth, height, ranks, experts, sums };
    y += height + size.row + 6;
    return at;
  });
  const ways = [];
  let above = coordinator;
  for (const stage of placed) {
    const x = 28;
    ways.push({ path: `M${x} ${above.y + above.height} V${stage.y}`, x: x + 12, y: (above.y + above.height + stage.y) / 2, anchor: "start" });
    above = stage;
  }
  if (placed.length > 0) {
    const [edge, lane] = [1 + cardWidth, width - 8];
    const [low, high] = [above.y + above.height / 2, coordinator.y + coordinator.height / 2];
    ways.push({ path: `M${edge} ${low} H${lane - 6} q6 0 6 -6 V${high + 6} q0 -6 -6 -6 H${edge}`, x: edge - 12, y: coordinator.y + coordinator.height - 24, anchor: "end" });
  }
  return { height: (placed.length > 0 ? above.y + above.height : coordinator.y + coordinator.height) + 6, coordinator, stages: placed, ways };
}
