// Cases that print TAP, as the other tests do: test("what holds", async () => …), then run().
const cases = [];

export function test(name, body) {
  cases.push({ name, body });
}

function remark(text) {
  for (const line of String(text).split("\n")) console.log(`# ${line}`);
}

// Stops at nothing: each case is tried. Exit status 1 when one failed.
export async function run() {
  console.log(`1..${cases.length}`);
  let failed = 0;
  for (const [index, { name, body }] of cases.entries()) {
    try {
      await body(remark);
      console.log(`ok ${index + 1} - ${name}`);
    } catch (error) {
      failed++;
      console.log(`not ok ${index + 1} - ${name}`);
      remark(error.stack ?? error);
    }
  }
  return failed === 0 ? 0 : 1;
}
