// How a client tells the suite what came of a case: one line of JSON.

export function report(name, problem) {
  console.log(JSON.stringify({ case: name, problem }));
}
