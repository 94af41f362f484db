// The page begins here: the session, the feed, the first view.

import { fill } from "../app/dom.js";
import * as feed from "../app/feed.js";
import * as router from "./router.js";
import { isSignedIn, onChange, signOut } from "../app/session.js";

const MODES = {
  live: ["Live", "Events arrive as they happen."],
  polling: ["Every second", "There is no stream of events, so the page asks once a second."],
  out: ["Signed out", "The server did not accept a token of this tab."],
  off: ["", ""],
};

function showMode(mode) {
  const [text, title] = MODES[mode];
  const place = document.getElementById("feed");
  fill(place, text);
  Object.assign(place, { title });
  place.dataset.mode = mode;
}

function showSession() {
  document.getElementById("sign-out").hidden = !isSignedIn();
}

document.getElementById("sign-out").addEventListener("click", () => {
  signOut();
  location.reload(); // what the token has let the page show must not stay on it
});
onChange(showSession);
showSession();
feed.onMode(showMode);
feed.start();
router.start();
