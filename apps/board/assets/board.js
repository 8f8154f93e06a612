// Bull Board opens every queue on its newest jobs. A link to a queue that names no tab loads the page anew instead, and the
// board answers with the tab that matters.
addEventListener(
  'click',
  event => {
    const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
    if (link && link.search === '' && /^\/queue\/[^/]+$/.test(link.pathname)) event.stopPropagation();
  },
  true,
);
