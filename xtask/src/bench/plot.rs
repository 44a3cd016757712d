//! A plot, as SVG.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

/// One line of it.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// Lines over how many there are of something.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    pub(super) across: &'a str,
    pub(super) up: &'a str,
    pub(super) scale: Scale,
    pub(super) lines: Vec<Line>,
}

/// How far apart what is across lies.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    /// Ten times as many are as far from as many wherever they are.
    Orders,
    Even,
}

const SIZE: (u32, u32) = (760, 420);

impl Plot<'_> {
    /// Draws it into a file. What is up begins at 0: a plot that begins elsewhere makes a mountain of nothing.
    pub(super) fn draw(&self, file: &Path) -> Result<()> {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let [left, right] = [f64::min, f64::max].map(|of| points().map(|point| point.0).reduce(of));
        let (Some(left), Some(right)) = (left, right) else { return Err(anyhow!("nothing to draw")) };
        ensure!(left > 0.0 && right > left, "no width from {left} to {right}");
        let top = points().map(|point| point.1).fold(1.0, f64::max) * 1.4; // room for the legend
        match self.scale {
            Scale::Orders => self.draw_over((left..right).log_scale(), top, file),
            Scale::Even => self.draw_over(left..right, top, file),
        }
    }

    fn draw_over<X>(&self, across: X, top: f64, file: &Path) -> Result<()>
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let root = SVGBackend::new(file, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(self.title, ("sans-serif", 16))
            .margin(12)
            .margin_right(36)
            .x_label_area_size(44)
            .y_label_area_size(76)
            .build_cartesian_2d(across, 0.0..top)?;
        chart
            .configure_mesh()
            .x_desc(self.across)
            .y_desc(self.up)
            .x_label_formatter(&|many| format!("{many:.0}"))
            .y_label_formatter(&|count| format!("{count:.0}"))
            .light_line_style(WHITE)
            .draw()?;
        for (index, line) in self.lines.iter().enumerate() {
            let colour = Palette99::pick(index).to_rgba();
            let points = line.points.clone();
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(4))?
                .label(line.name.clone())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .position(SeriesLabelPosition::UpperLeft)
            .draw()?;
        root.present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_drawn_and_named() {
        let file = std::env::temp_dir().join(format!("spoor-plot-{}.svg", std::process::id()));
        let line =
            |name: &str, up: f64| Line { name: name.to_owned(), points: vec![(10.0, up), (1_000.0, 2.0)] };
        let over = |scale, lines| Plot { title: "a title", across: "things", up: "cost", scale, lines };
        for scale in [Scale::Orders, Scale::Even] {
            over(scale, vec![line("first", 1.0), line("second", 3.0)]).draw(&file).unwrap();
            let drawn = std::fs::read_to_string(&file).unwrap();
            std::fs::remove_file(&file).unwrap();
            for word in ["a title", "things", "cost", "first", "second", "</svg>"] {
                assert!(drawn.contains(word), "{word}");
            }
        }
        let plot = |lines| over(Scale::Orders, lines);
        assert!(plot(Vec::new()).draw(&file).is_err(), "nothing is no plot");
        assert!(plot(vec![Line { name: "one".to_owned(), points: vec![(1.0, 1.0)] }]).draw(&file).is_err());
    }
}
