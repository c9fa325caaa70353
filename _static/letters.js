// KaTeX marks script and double-struck capitals with an attribute that browsers no longer draw: put in the letters.
const first = { script: 0x1d49c, "double-struck": 0x1d538, fraktur: 0x1d504 };
const exceptions = {
  script: { B: "ℬ", E: "ℰ", F: "ℱ", H: "ℋ", I: "ℐ", L: "ℒ", M: "ℳ", R: "ℛ" },
  "double-struck": { C: "ℂ", H: "ℍ", N: "ℕ", P: "ℙ", Q: "ℚ", R: "ℝ", Z: "ℤ" },
  fraktur: { C: "ℭ", H: "ℌ", I: "ℑ", R: "ℜ", Z: "ℨ" },
};
addEventListener("load", () => {
  for (const node of document.querySelectorAll("math [mathvariant]")) {
    const style = node.getAttribute("mathvariant");
    if (!(style in first) || !/^[A-Z]+$/.test(node.textContent)) continue;
    node.textContent = [...node.textContent]
      .map((letter) => exceptions[style][letter] ?? String.fromCodePoint(first[style] + letter.charCodeAt(0) - 65))
      .join("");
    node.setAttribute("mathvariant", "normal");
  }
});
