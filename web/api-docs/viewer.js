/* Swagger UI over this server's own description. The base layout has no top bar, and nothing is
 * loaded from elsewhere. */
window.SwaggerUIBundle({
  url: new URL('../api-docs.json', document.baseURI).href,
  dom_id: '#api',
  layout: 'BaseLayout',
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
