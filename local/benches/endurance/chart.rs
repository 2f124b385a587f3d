//! The graph of a run: latency, answers and memory over the same seconds.

use std::path::Path;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::statistics::percentile;
use crate::{Run, milliseconds};

const SIZE: (u32, u32) = (960, 720);
const BLUE: RGBColor = RGBColor(31, 119, 180);
const RED: RGBColor = RGBColor(214, 39, 40);
const GREY: RGBColor = RGBColor(225, 225, 225);

/// A line in a panel.
struct Line {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Draws the run into `file`.
pub(crate) fn draw(run: &Run, file: &Path) -> anyhow::Result<()> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let title = "Mixed traffic (grey: the database is down)";
    let panels = root.titled(title, ("sans-serif", 18))?.split_evenly((3, 1));

    let seconds = seconds_of(run);
    let each = |value: &dyn Fn(&Second) -> Option<f64>| -> Vec<(f64, f64)> {
        let points = seconds.iter().enumerate();
        points.filter_map(|(at, second)| Some((f64::from(u32::try_from(at).ok()?), value(second)?))).collect()
    };
    let latency = |share: f64| {
        each(&|second: &Second| {
            (!second.latencies.is_empty())
                .then(|| milliseconds(percentile(second.latencies.clone(), share)).max(0.1))
        })
    };
    let latencies = [
        Line { name: "p99", colour: RED, points: latency(0.99) },
        Line { name: "p50", colour: BLUE, points: latency(0.5) },
    ];
    let top = highest(&latencies) * 10.0; // logarithmic
    panel(&panels[0], run, "latency, ms", (0.1..top).log_scale(), (0.1, top), &latencies)?;
    let answers = [
        Line { name: "answered", colour: BLUE, points: each(&|second| Some(second.answered)) },
        Line { name: "failed", colour: RED, points: each(&|second| Some(second.failed)) },
    ];
    let top = highest(&answers);
    panel(&panels[1], run, "requests/s", 0.0..top, (0.0, top), &answers)?;
    let memory = [Line { name: "resident memory of the server", colour: BLUE, points: run.memory.clone() }];
    let top = highest(&memory);
    panel(&panels[2], run, "MB", 0.0..top, (0.0, top), &memory)?;
    root.present()?;
    Ok(())
}

/// The upper end of the axis: the highest point, with room above it for the legend.
fn highest(lines: &[Line]) -> f64 {
    lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(1.0, f64::max) * 1.6
}

#[derive(Clone, Default)]
struct Second {
    latencies: Vec<std::time::Duration>,
    answered: f64,
    failed: f64,
}

/// Groups latencies of answers by the second in which the request was due, and answers and failures by the second
/// in which they arrived.
fn seconds_of(run: &Run) -> Vec<Second> {
    let mut seconds = vec![Second::default(); usize::try_from(run.length.as_secs()).unwrap_or_default()];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole seconds after the start"
    )]
    let place = |time: f64| time as usize;
    for sample in &run.samples {
        if let Some(second) = seconds.get_mut(place(sample.at)).filter(|_| !sample.failed) {
            second.latencies.push(sample.latency);
        }
        if let Some(second) = seconds.get_mut(place(sample.at + sample.latency.as_secs_f64())) {
            *(if sample.failed { &mut second.failed } else { &mut second.answered }) += 1.0;
        }
    }
    seconds
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel<Y>(
    area: &Area<'_>,
    run: &Run,
    unit: &str,
    range: Y,
    (bottom, top): (f64, f64),
    lines: &[Line],
) -> anyhow::Result<()>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let length = run.length.as_secs_f64();
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(28) // half of the last label
        .x_label_area_size(24)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..length, range)?;
    let (killed, back) = run.down;
    let down = Rectangle::new([(killed, bottom), (back.max(killed + length / 300.0), top)], GREY.filled());
    chart.draw_series([down])?;
    let mesh = &mut chart.configure_mesh();
    mesh.disable_x_mesh().y_desc(unit).x_labels(11).y_labels(6).light_line_style(TRANSPARENT);
    mesh.x_label_formatter(&|at| format!("{at:.0} s"))
        .y_label_formatter(&|value| format!("{value}"))
        .draw()?;
    for Line { name, colour, points } in lines {
        let drawn = chart.draw_series(LineSeries::new(points.iter().copied(), colour))?;
        drawn.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .draw()?;
    Ok(())
}
