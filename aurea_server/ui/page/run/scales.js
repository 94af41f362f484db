// Axes: from figures to places, with round numbers as ticks. As `aurea_engine.report.scales` has them.

const DIGITS = [[1, 2, 5], [1, 3], [1]];

export function linear(low, high) {
  const span = high - low || 1;
  return {
    low,
    high,
    place: (value) => (value - low) / span,
    value: (share) => low + share * span,
    ticks: (most) => linearTicks(low, high, most),
  };
}

export function logarithmic(low, high) {
  const span = Math.log(high / low) || 1;
  return {
    low,
    high,
    place: (value) => (value <= low ? 0 : Math.log(value / low) / span),
    value: (share) => low * Math.exp(share * span),
    ticks: (most) => logarithmicTicks(low, high, most),
  };
}

function linearTicks(low, high, most) {
  const rough = (high - low) / most || 1;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * size).find((each) => each >= rough * (1 - 1e-9));
  const ticks = [];
  const last = Math.floor(high / step + 1e-9);
  for (let at = Math.ceil(low / step - 1e-9); at <= last; at += 1) ticks.push(at * step || 0); // no -0
  return ticks;
}

function logarithmicTicks(low, high, most) {
  for (const digits of DIGITS) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const digit of digits) {
        // Divided, where the power is negative: 3 * 0.1 is no round number of a float.
        const tick = power < 0 ? digit / 10 ** -power : digit * 10 ** power;
        if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) found.push(tick);
      }
    }
    if (found.length <= most) return found.length > 1 ? found : linearTicks(low, high, Math.max(2, most * 0.6));
  }
  const first = Math.ceil(Math.log10(low));
  const every = Math.ceil((Math.floor(Math.log10(high)) - first + 1) / most);
  return Array.from({ length: most }, (_, i) => 10 ** (first + i * every)).filter((tick) => tick <= high);
}
