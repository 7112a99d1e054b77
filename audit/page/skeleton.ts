/** The fixed parts of a page: landmarks, headings and controls, without any text of a log. */

export const SKELETON = `<a class="skip" id="skip" href="#list-heading">Skip to the events</a>
<header class="top">
<p class="brand" aria-hidden="true">sand</p>
<h1 id="title">Audit report</h1>
<p class="made" id="made"></p>
<button type="button" id="theme">Theme: system</button>
</header>
<main>
<noscript><p class="callout">This report is drawn by the script inside it. Allow scripts for this file; it loads nothing from anywhere.</p></noscript>
<section aria-labelledby="runs-heading">
<h2 id="runs-heading">Run</h2>
<div id="runs"></div>
</section>
<section aria-labelledby="totals-heading">
<h2 id="totals-heading" class="unseen">Totals</h2>
<dl id="totals"></dl>
</section>
<section aria-labelledby="time-heading">
<div class="heading"><h2 id="time-heading">Decisions over time</h2><ul id="legend" class="legend"></ul></div>
<div id="charts"></div>
</section>
<section aria-labelledby="hosts-heading">
<h2 id="hosts-heading">Hosts</h2>
<div class="pair" id="hosts"></div>
<details id="all-hosts"><summary>All hosts, with every figure</summary><div class="scroll" id="all-hosts-table"></div></details>
</section>
<section aria-labelledby="list-heading" id="events">
<div class="heading"><h2 id="list-heading" tabindex="-1">Events</h2><p id="count" role="status" aria-live="polite"></p></div>
<form id="filters" role="search" aria-label="Events" autocomplete="off">
<div class="line">
<label class="search"><span>Search</span><input id="search" type="search" placeholder="host, path, rule, reason, process \u2026" aria-keyshortcuts="/"><kbd aria-hidden="true">/</kbd></label>
<fieldset id="verdicts"><legend class="unseen">Verdict</legend></fieldset>
</div>
<div class="line">
<label><span>Kind</span><select id="kind"><option value="">all</option></select></label>
<label class="wide"><span>Host</span><input id="host" type="text" list="host-names" placeholder="any" spellcheck="false" autocapitalize="off"></label><datalist id="host-names"></datalist>
<label class="wide"><span>Rule</span><select id="rule"><option value="">any</option></select></label>
<label id="run-label" hidden><span>Run</span><select id="run"><option value="">all</option></select></label>
<label class="time"><span>From</span><input id="from" type="text" spellcheck="false" aria-describedby="time-form"></label>
<label class="time"><span>To</span><input id="to" type="text" spellcheck="false" aria-describedby="time-form"></label><span class="unseen" id="time-form">UTC, as 20:15:00, or with its day as 2026-11-21 20:15:00</span>
<label><span>Order</span><select id="order"></select></label>
<label class="check" id="muted-label"><input id="muted" type="checkbox"><span id="muted-text">Muted too</span></label>
<button type="button" id="clear">Clear filters</button>
</div>
</form>
<div class="reader">
<div id="grid-scroll"><div id="grid" role="grid" tabindex="0" aria-labelledby="list-heading" aria-describedby="grid-keys"></div></div>
<aside id="details" aria-labelledby="details-heading"></aside>
</div>
<p id="grid-keys" class="note">Arrow keys, Page Up and Down, Home and End move in the list; Enter reads the details, Escape comes back; / searches.</p>
</section>
<section aria-labelledby="names-heading">
<h2 id="names-heading">DNS beside connections</h2>
<div id="names"></div>
</section>
</main>
`;
