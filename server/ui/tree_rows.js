// Flattens the tree into the visible rows, top to bottom.

const isBare = (node) => node.locks.length === 0 && node.waiters.length === 0;

/** Returns the matching nodes with their ancestors, and the number of matches. */
function findVisible(model, filter) {
  const visible = new Set();
  const seen = new Set();
  let matching = 0;
  const consider = ({ path }) => {
    const node = model.tree.find(path);
    if (seen.has(node)) return;
    seen.add(node);
    if (!filter.matches(node)) return;
    ++matching;
    for (let at = node; at && !visible.has(at); at = at.parent) visible.add(at);
  };
  for (const lock of model.locks.values()) consider(lock);
  for (const waiter of model.waiters) consider(waiter);
  return { visible, matching };
}

/**
 * `{ rows, matching }`. A row: `{ node, lead, name, level, place, siblings, isParent, isOpen,
 * parentIndex }`. A path with no locks or waiters and only one child shares the row of that child;
 * `lead` is its part of the label. `collapsed`: paths whose children are hidden.
 */
export function rowsOf(model, filter, collapsed) {
  const isFiltered = filter.isActive;
  const { visible, matching } = isFiltered ? findVisible(model, filter) : { visible: null, matching: 0 };
  const childrenOf = (node) =>
    isFiltered ? node.children.filter((child) => visible.has(child)) : node.children;
  const rows = [];

  const add = (first, level, place, siblings, parentIndex) => {
    let node = first;
    let lead = "";
    let children = childrenOf(node);
    while (children.length === 1 && isBare(node)) {
      lead += `${node.name}/`;
      [node] = children;
      children = childrenOf(node);
    }
    const isParent = children.length > 0;
    const isOpen = isParent && !collapsed.has(node.path);
    const index = rows.length;
    rows.push({ node, lead, name: node.name, level, place, siblings, isParent, isOpen, parentIndex });
    if (!isOpen) return;
    children.forEach((child, i) => add(child, level + 1, i + 1, children.length, index));
  };

  const { root } = model.tree;
  const showsRoot = !isBare(root) && (!isFiltered || filter.matches(root));
  const tops = childrenOf(root);
  const siblings = tops.length + (showsRoot ? 1 : 0);
  if (showsRoot) {
    const own = { lead: "", name: "/", level: 1, place: 1, siblings, parentIndex: -1 };
    rows.push({ node: root, ...own, isParent: false, isOpen: false });
  }
  tops.forEach((child, i) => add(child, 1, i + 1 + (showsRoot ? 1 : 0), siblings, -1));
  return { rows, matching };
}
