/* page_style.h - the style of page.c's pages: one column, quiet lines, numbers in columns; colours are variables, of
 * which a dark system has others. Series 1 to 4 are told apart by people who see red and green alike. */
#ifndef EFFNET_REPORT_PAGE_STYLE_H
#define EFFNET_REPORT_PAGE_STYLE_H

static const char page_style[] =
    ":root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--ink:#1b1f24;--soft:#5b6470;--line:#dfe3e8;"
    "--grid:#e8ebef;--s1:#1f6feb;--s2:#d9730d;--s3:#0f8a6d;--s4:#8b5cd6;--good:#0f8a6d;--bad:#cf3a3a}"
    "@media(prefers-color-scheme:dark){:root{--back:#0f1216;--card:#171b21;--ink:#e6e9ed;--soft:#98a2ae;--line:#2a3038;"
    "--grid:#232931;--s1:#6aa6ff;--s2:#f0a04b;--s3:#3fc79f;--s4:#b794f6;--good:#3fc79f;--bad:#ff7b72}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    "main{max-width:1040px;margin:0 auto;padding:32px 20px 64px}h1{font-size:26px;line-height:1.25;margin:0 0 4px;"
    "overflow-wrap:anywhere}h2{font-size:18px;margin:0 0 6px}h3{font-size:14px;margin:0 0 6px;font-weight:600}"
    "p{margin:0 0 12px;color:var(--soft);max-width:75ch}header p{overflow-wrap:anywhere}"
    "section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:20px 22px;margin:18px 0}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:22px 0 4px}"
    ".tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}"
    ".tile b{display:block;font-size:26px;line-height:1.2;font-weight:650;font-variant-numeric:tabular-nums}"
    ".tile span{color:var(--soft);font-size:13px;display:block}"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));gap:22px 26px}"
    "svg{display:block;width:100%;height:auto;font:11px system-ui,'DejaVu Sans',sans-serif}svg text{fill:var(--soft)}"
    ".legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;color:var(--soft);margin:0 0 4px}"
    ".legend i{display:inline-block;width:14px;height:3px;border-radius:2px;margin-right:6px;vertical-align:middle}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:"
    "14px}"
    "th{color:var(--soft);font-weight:600;text-align:right;border-bottom:1px solid var(--line);padding:6px 10px}"
    "td{text-align:right;border-bottom:1px solid var(--grid);padding:5px 10px}th:first-child,td:first-child{text-align:"
    "left;overflow-wrap:anywhere}tr:last-child td{border-bottom:0}"
    ".bar{display:inline-block;height:8px;border-radius:4px;background:var(--s1);vertical-align:middle;margin-right:"
    "8px}"
    ".shots{display:grid;grid-template-columns:repeat(auto-fill,minmax(148px,1fr));gap:16px}"
    "figure{margin:0;font-size:13px;line-height:1.35}figure "
    "div{background:var(--grid);border-radius:8px;overflow:hidden;"
    "aspect-ratio:1;display:flex;align-items:center;justify-content:center;margin-bottom:6px}"
    "figure img{max-width:100%;max-height:100%;width:100%;height:100%;object-fit:contain}"
    "figcaption{overflow-wrap:anywhere}figcaption small{color:var(--soft);display:block}"
    ".good{color:var(--good)}.bad{color:var(--bad)}footer{color:var(--soft);font-size:13px;margin-top:28px}"
    "@media print{body{background:#fff}section,.tile{break-inside:avoid}}";

#endif
