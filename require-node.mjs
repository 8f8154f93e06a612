// The sources are TypeScript that Node runs as it is, which Node 24 does. Its npm package among the dev dependencies
// brings it along for every npm script, also where an older Node is installed; npm ci --ignore-scripts leaves it out.
if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(
    `flux-dispatch runs on Node 24 or later, this is ${process.version}: ` +
      'run npm ci without --ignore-scripts, which brings Node 24 along for the npm scripts, or install Node 24\n',
  );
  process.exit(1);
}
