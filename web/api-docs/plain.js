/*
 * The API page where no viewer was built: /api-docs.json as readable HTML. Reads the parts of
 * OpenAPI 3.1 that our document uses. Text only ever goes in as text, never as markup.
 */

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

/** An element: h('p', {class: 'soft'}, 'text', otherElement, [more, elements], null). */
function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** The few things of Markdown that descriptions use: paragraphs, **bold** and `code`. */
function prose(text) {
  return text.split(/\n{2,}/).map((paragraph) => h('p', {}, paragraph.split(/(\*\*.+?\*\*|`.+?`)/).map((part) => {
    if (part.startsWith('**')) {
      return h('b', {}, part.slice(2, -2));
    }
    return part.startsWith('`') ? h('code', {}, part.slice(1, -1)) : part;
  })));
}

/** What a {"$ref": "#/a/b"} leads to. */
function resolve(doc, node) {
  if (!node || !node.$ref) {
    return node;
  }
  const found = node.$ref.slice(2).split('/').reduce((at, key) => at[key], doc);
  return resolve(doc, found);
}

const refName = (schema) => schema.$ref.split('/').pop();
const schemaId = (name) => `schema-${name}`;

/** A schema in a few words: "uuid or null", "list of Participant", "integer 0 to 60000". */
function kind(schema) {
  if (schema.$ref) {
    return [h('a', { href: `#${schemaId(refName(schema))}` }, refName(schema))];
  }
  if (schema.oneOf) {
    return schema.oneOf.map((one, i) => [i > 0 ? ' or ' : '', kind(one)]);
  }
  const types = [schema.type].flat();
  const words = types.map((type) => (type === 'array' ? 'list' : type === 'string' && schema.format ? schema.format : type));
  const out = [words.join(' or ')];
  if (types.includes('array')) {
    out.push(' of ', schema.items.properties ? 'objects' : kind(schema.items));
  }
  const range = ['minimum', 'minLength', 'minItems'].map((key) => schema[key]).find((n) => n !== undefined);
  const top = ['maximum', 'maxLength', 'maxItems'].map((key) => schema[key]).find((n) => n !== undefined && n < Number.MAX_SAFE_INTEGER);
  if (range !== undefined && top !== undefined) {
    out.push(`, ${range} to ${top}`);
  } else if (range !== undefined) {
    out.push(`, from ${range}`);
  }
  return out;
}

/** Rows of a table for the members of an object schema; those of lists of objects follow, as "a[].b". */
function members(schema, prefix = '') {
  const required = schema.required ?? [];
  return Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const words = member.enum ?? (member.const !== undefined ? [member.const] : []);
    const row = h('tr', {},
      h('td', {}, h('code', required.includes(name) ? { class: 'must', title: 'required' } : {}, prefix + name)),
      h('td', {}, kind(member)),
      h('td', {}, member.description ?? '',
        words.length > 0 ? [' ', words.map((word, i) => [i > 0 ? ', ' : '', h('code', {}, word)])] : null));
    return [row, member.items?.properties ? members(member.items, `${prefix}${name}[].`) : []].flat();
  });
}

function table(heads, rows) {
  return h('div', { class: 'wide' }, h('table', {},
    h('tr', {}, heads.map((head) => h('th', { scope: 'col' }, head))), rows));
}

function parameters(doc, operation) {
  if (!operation.parameters?.length) {
    return null;
  }
  return [h('h3', {}, 'Parameters'), table(['Name', 'In', 'Type', ''], operation.parameters.map((p) => h('tr', {},
    h('td', {}, h('code', p.required ? { class: 'must', title: 'required' } : {}, p.name)),
    h('td', {}, p.in), h('td', {}, kind(p.schema)), h('td', {}, p.description ?? ''))))];
}

function requestBody(doc, operation) {
  const schema = resolve(doc, operation.requestBody?.content?.['application/json']?.schema);
  if (!schema) {
    return null;
  }
  return [h('h3', {}, operation.requestBody.required ? 'Body' : 'Body (may be left out)'),
    table(['Field', 'Type', ''], members(schema))];
}

/** What an answer holds: the name of its schema, in its envelope. */
function content(response) {
  const schema = response.content?.['application/json']?.schema;
  if (!schema) {
    return '';
  }
  for (const wrap of ['data', 'error']) {
    const inner = schema.properties?.[wrap];
    if (inner) {
      return [h('code', {}, `{"${wrap}": `), kind(inner), h('code', {}, '}')];
    }
  }
  return kind(schema);
}

function responses(doc, operation) {
  return [h('h3', {}, 'Answers'), table(['Status', 'Body', ''], Object.entries(operation.responses).map(([status, r]) => {
    const response = resolve(doc, r);
    return h('tr', {}, h('td', {}, h('code', {}, status)), h('td', {}, content(response)), h('td', {}, response.description));
  }))];
}

function who(operation) {
  if (operation.security?.length === 0) {
    return 'Public: no token is asked for.';
  }
  const anonymous = operation.security?.some((need) => Object.keys(need).length === 0);
  return anonymous ? 'Needs a token, unless the server lets anonymous callers in.' : 'Needs a token.';
}

function operationView(doc, path, method, operation) {
  return h('details', { id: operation.operationId },
    h('summary', {}, h('span', { class: `method ${method}` }, method), h('code', {}, path), h('span', { class: 'soft' }, operation.summary)),
    h('div', {}, h('p', { class: 'soft' }, who(operation)),
      parameters(doc, operation), requestBody(doc, operation), responses(doc, operation)));
}

function operationsOf(doc, tag) {
  return Object.entries(doc.paths).flatMap(([path, item]) => METHODS
    .filter((method) => item[method]?.tags?.includes(tag))
    .map((method) => operationView(doc, path, method, item[method])));
}

function schemaView([name, schema]) {
  return h('details', { id: schemaId(name) },
    h('summary', {}, h('code', {}, name), h('span', { class: 'soft' }, schema.description ?? '')),
    h('div', {}, schema.properties ? table(['Field', 'Type', ''], members(schema))
      : h('p', {}, (schema.enum ?? []).map((word, i) => [i > 0 ? ', ' : '', h('code', {}, word)]))));
}

function page(doc) {
  const tags = doc.tags.map((tag) => tag.name);
  const tagId = (tag) => `tag-${tag.replace(/\W+/g, '-')}`;
  return [
    h('h1', {}, doc.info.title, ' ', h('span', { class: 'soft' }, doc.info.version)),
    prose(doc.info.description),
    h('nav', { 'aria-label': 'Sections' }, tags.map((tag) => h('a', { href: `#${tagId(tag)}` }, tag)),
      h('a', { href: '#schemas' }, 'Schemas'), h('a', { href: '../api-docs.json' }, 'api-docs.json'),
      h('a', { href: '../asyncapi.json' }, 'asyncapi.json')),
    tags.map((tag) => [h('h2', { id: tagId(tag) }, tag), operationsOf(doc, tag)]),
    h('h2', { id: 'schemas' }, 'Schemas'),
    Object.entries(doc.components.schemas).map(schemaView),
  ].flat(Infinity);
}

/** A link to an operation or a schema opens it. */
function openTarget() {
  const target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

async function main() {
  const root = document.getElementById('api');
  try {
    const answer = await fetch(new URL('../api-docs.json', document.baseURI));
    if (!answer.ok) {
      throw new Error(`the server answered ${answer.status}`);
    }
    root.replaceChildren(...page(await answer.json()));
    openTarget();
    addEventListener('hashchange', openTarget);
  } catch (error) {
    root.replaceChildren(h('p', { class: 'alert', role: 'alert' }, `The description cannot be shown: ${error.message}.`));
  }
  root.removeAttribute('aria-busy');
}

main();
