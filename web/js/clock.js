// How a time is written, as players do it: begun seconds count when they are over, so 83.6 is "1:23".
export function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
