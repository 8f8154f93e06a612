// Preloaded into a process whose clock is to be off: NODE_OPTIONS='--import <this file>', SIMULATED_CLOCK_S=-600.
const offset = Number(process.env.SIMULATED_CLOCK_S) * 1000;
const RealDate = Date;
const realNow = Date.now.bind(Date);
class SkewedDate extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(realNow() + offset);
    else super(...args);
  }
  static now() {
    return realNow() + offset;
  }
}
globalThis.Date = SkewedDate;
