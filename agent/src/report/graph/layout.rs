//! Where nodes and edges are drawn: columns from left to right, few crossings, short edges. The same graph always comes out
//! the same: no chance, no clock.

use std::collections::BTreeMap;

use super::Graph;

pub(super) const WIDTH: f64 = 200.0;
pub(super) const HEIGHT: f64 = 42.0;
/// Between columns.
const GAP: f64 = 64.0;
/// Between nodes of a column; and what an edge takes that goes through one.
const APART: f64 = 16.0;
const LANE: f64 = 10.0;
/// Room around all, and above for the headings.
pub(super) const MARGIN: f64 = 12.0;
const TOP: f64 = 34.0;
/// How often the order is mended, and the places.
const SWEEPS: usize = 12;
const EDGES_MANY: usize = 300;
/// From so many edges on, those of one node share their way until they part: else a column would be nothing but ways.
const EDGES_APART: usize = 40;

/// A place in a column: a node, or an edge on its way.
#[derive(Clone, Debug)]
struct Slot {
    node: Option<usize>,
    /// Places in the column before, and behind.
    before: Vec<usize>,
    behind: Vec<usize>,
    y: f64,
}

impl Slot {
    fn half(&self) -> f64 {
        if self.node.is_some() { HEIGHT / 2.0 } else { 1.0 }
    }
}

/// Where all is.
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    /// Of each node, the left edge and the middle of its height.
    pub(super) nodes: Vec<(f64, f64)>,
    /// Of each edge, the heights at the columns it goes through between its ends.
    pub(super) edges: Vec<Vec<(f64, f64)>>,
}

/// The left edge of a column.
pub(super) fn left(column: usize) -> f64 {
    // Columns are a handful.
    MARGIN + f64::from(u32::try_from(column).unwrap_or(0)) * (WIDTH + GAP)
}

/// Slots by number, and which of them stand in each column, from top to bottom.
struct Columns {
    slots: Vec<Slot>,
    order: Vec<Vec<usize>>,
    /// The slots of each edge between its ends.
    ways: Vec<Vec<usize>>,
}

pub(super) fn layout(graph: &Graph) -> Layout {
    let mut columns = Columns::of(graph);
    columns.sort();
    columns.place();
    let least = columns.slots.iter().map(|slot| slot.y - slot.half()).fold(f64::INFINITY, f64::min);
    let most = columns.slots.iter().map(|slot| slot.y + slot.half()).fold(f64::NEG_INFINITY, f64::max);
    let shift = if least.is_finite() { TOP + MARGIN - least } else { 0.0 };
    let last = columns.order.len().saturating_sub(1);
    let at = |slot: usize| columns.slots.get(slot).map_or(0.0, |slot| slot.y + shift);
    let column = |index: usize| graph.nodes.get(index).map_or(0, |node| node.column);
    let way = |(edge, way): (&super::Edge, &Vec<usize>)| {
        let first = column(edge.from) + 1;
        way.iter().enumerate().map(|(step, slot)| (left(first + step), at(*slot))).collect()
    };
    Layout {
        width: left(last) + WIDTH + MARGIN,
        height: if most.is_finite() { most + shift + MARGIN } else { TOP },
        nodes: (0..graph.nodes.len()).map(|index| (left(column(index)), at(index))).collect(),
        edges: graph.edges.iter().zip(&columns.ways).map(way).collect(),
    }
}

impl Columns {
    /// In the order of the records. The first slots are the nodes.
    fn of(graph: &Graph) -> Self {
        let slot = |node| Slot { node, before: Vec::new(), behind: Vec::new(), y: 0.0 };
        let mut slots: Vec<Slot> = (0..graph.nodes.len()).map(|node| slot(Some(node))).collect();
        let count = graph.nodes.iter().map(|node| node.column + 1).max().unwrap_or(0);
        let mut order = vec![Vec::new(); count];
        for (index, node) in graph.nodes.iter().enumerate() {
            order.get_mut(node.column).into_iter().for_each(|column| column.push(index));
        }
        let column = |index: usize| graph.nodes.get(index).map_or(0, |node| node.column);
        let shared = graph.edges.len() > EDGES_APART;
        let (mut ways, mut known) = (Vec::new(), BTreeMap::new());
        for edge in &graph.edges {
            let (from, to) = (column(edge.from), column(edge.to));
            let mut way = Vec::new();
            if from < to {
                let mut last = edge.from;
                for through in from + 1..to {
                    let of_node = known.get(&(edge.from, through)).copied().filter(|_| shared);
                    let next = of_node.unwrap_or_else(|| {
                        slots.push(slot(None));
                        let next = slots.len() - 1;
                        order.get_mut(through).into_iter().for_each(|column| column.push(next));
                        join(&mut slots, last, next);
                        known.insert((edge.from, through), next);
                        next
                    });
                    way.push(next);
                    last = next;
                }
                join(&mut slots, last, edge.to);
            }
            ways.push(way);
        }
        Columns { slots, order, ways }
    }

    /// Sorts each column by where its neighbours are, forth and back, and keeps what has the fewest crossings.
    fn sort(&mut self) {
        let mut best = (self.crossings(), self.order.clone());
        // What has so many edges cannot be read anyhow, and every pair of them is compared.
        let sweeps = if self.ways.len() > EDGES_MANY { 2 } else { SWEEPS };
        for sweep in 0..sweeps {
            let forth = sweep % 2 == 0;
            for step in 1..self.order.len() {
                let at = if forth { step } else { self.order.len() - 1 - step };
                let beside = if forth { at - 1 } else { at + 1 };
                let places = self.places(beside);
                let Some(column) = self.order.get(at).cloned() else { continue };
                let mean = |(index, slot): (usize, &usize)| {
                    let near =
                        self.slots.get(*slot).map(|slot| if forth { &slot.before } else { &slot.behind });
                    let near: Vec<f64> =
                        near.into_iter().flatten().filter_map(|near| places.get(*near).copied()).collect();
                    // Who has no neighbours stays.
                    if near.is_empty() {
                        number(index)
                    } else {
                        near.iter().sum::<f64>() / number(near.len())
                    }
                };
                let mut keyed: Vec<(f64, usize)> =
                    column.iter().enumerate().map(|entry| (mean(entry), *entry.1)).collect();
                keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
                if let Some(column) = self.order.get_mut(at) {
                    *column = keyed.into_iter().map(|(_, slot)| slot).collect();
                }
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.order.clone());
            }
        }
        self.order = best.1;
    }

    /// The place of each slot that stands in a column.
    fn places(&self, column: usize) -> Vec<f64> {
        let mut places = vec![0.0; self.slots.len()];
        for (index, slot) in self.order.get(column).into_iter().flatten().enumerate() {
            places.get_mut(*slot).into_iter().for_each(|place| *place = number(index));
        }
        places
    }

    fn crossings(&self) -> usize {
        let mut count = 0;
        for (at, column) in self.order.iter().enumerate() {
            let places = self.places(at + 1);
            let ends = column.iter().enumerate().flat_map(|(index, slot)| {
                let behind = self.slots.get(*slot).map(|slot| slot.behind.as_slice()).unwrap_or_default();
                behind.iter().map(move |to| (index, *to))
            });
            let ends: Vec<(usize, f64)> =
                ends.map(|(from, to)| (from, places.get(to).copied().unwrap_or(0.0))).collect();
            let crossed =
                |one: &(usize, f64)| ends.iter().filter(|two| one.0 < two.0 && one.1 > two.1).count();
            count += ends.iter().map(crossed).sum::<usize>();
        }
        count
    }

    /// Heights: each as near to its neighbours as its column lets it.
    fn place(&mut self) {
        let columns: Vec<usize> = (0..self.order.len()).collect();
        for column in &columns {
            self.settle(*column, |_| 0.0);
        }
        for sweep in 0..SWEEPS {
            let forth = sweep % 2 == 0;
            let way: Vec<usize> =
                if forth { columns.clone() } else { columns.iter().rev().copied().collect() };
            for column in way {
                let heights: Vec<f64> = self.slots.iter().map(|slot| slot.y).collect();
                self.settle(column, |slot| {
                    let near = slot.before.iter().chain(&slot.behind);
                    let near: Vec<f64> = near.filter_map(|near| heights.get(*near).copied()).collect();
                    if near.is_empty() { slot.y } else { near.iter().sum::<f64>() / number(near.len()) }
                });
            }
        }
    }

    /// Puts a column's slots where they are wanted, as nearly as their order and the room between them allow: the least
    /// squares, by pooling those who want to be on top of each other.
    fn settle(&mut self, column: usize, wanted: impl Fn(&Slot) -> f64) {
        let Some(column) = self.order.get(column) else { return };
        let (mut offset, mut last) = (0.0, None);
        // Runs that move together: how many, and the sum of where they want to be, without the room before them.
        let (mut offsets, mut runs): (Vec<f64>, Vec<(usize, f64)>) = (Vec::new(), Vec::new());
        for slot in column.iter().filter_map(|slot| self.slots.get(*slot)) {
            let room = match last {
                Some((half, true)) if slot.node.is_some() => half + slot.half() + APART,
                Some((half, _)) => half + slot.half() + LANE,
                None => 0.0,
            };
            offset += room;
            last = Some((slot.half(), slot.node.is_some()));
            offsets.push(offset);
            runs.push((1, wanted(slot) - offset));
            while let [.., (few, low), (more, high)] = runs.as_slice()
                && low / number(*few) > high / number(*more)
            {
                let run = (few + more, low + high);
                runs.truncate(runs.len() - 2);
                runs.push(run);
            }
        }
        let places = runs.iter().flat_map(|(count, sum)| std::iter::repeat_n(sum / number(*count), *count));
        let places: Vec<f64> = places.zip(offsets).map(|(place, offset)| place + offset).collect();
        for (slot, place) in column.clone().into_iter().zip(places) {
            self.slots.get_mut(slot).into_iter().for_each(|slot| slot.y = place);
        }
    }
}

fn join(slots: &mut [Slot], from: usize, to: usize) {
    slots.get_mut(from).into_iter().for_each(|slot| slot.behind.push(to));
    slots.get_mut(to).into_iter().for_each(|slot| slot.before.push(from));
}

/// A small count.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
