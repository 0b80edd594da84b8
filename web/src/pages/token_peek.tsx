// Beside the table: the pools and links of the chosen token.
import { money, nameOf, shortMint } from "../format";
import { StatusMark } from "../parts/marks";
import { Links, PoolTable } from "../parts/pools";
import { Show } from "../parts/states";
import { useLoaded } from "../resource";
import { pathOf } from "../router";
import { t } from "../text";
import type { Token } from "../types";
import { chosen } from "./token_chosen";

export function Peek() {
  const mint = chosen.value;
  const text = t.value.tokens;
  return (
    <aside class="peek" aria-label={text.details}>
      {mint ? (
        <Chosen key={mint} mint={mint} />
      ) : (
        <div class="blank quiet">
          <p>{text.choose}</p>
          <p>{text.chooseHint}</p>
        </div>
      )}
    </aside>
  );
}

function Chosen(props: { mint: string }) {
  const loaded = useLoaded<Token>(`/tokens/${props.mint}?history_limit=1`, 5);
  const text = t.value;
  return (
    <Show of={loaded}>
      {(token) => (
        <>
          <h2 dir="auto">{nameOf(token)}</h2>
          <p class="quiet name" dir="auto">
            {token.name ?? ""}
          </p>
          <p class="facts">
            <StatusMark status={token.status} /> <code>{shortMint(token.mint_address)}</code>
          </p>
          <dl class="pairs">
            <dt>{text.token.liquidity}</dt>
            <dd>{money(token.liquidity_usd)}</dd>
            <dt>{text.token.volume60}</dt>
            <dd>{money(token.metrics.volume_1h)}</dd>
          </dl>
          <h3>{text.tokens.pools}</h3>
          <PoolTable pools={token.pools} isShort />
          <h3>{text.tokens.links}</h3>
          <Links mint={token.mint_address} />
          <a class="button primary" href={pathOf("tokens", token.mint_address)}>
            {text.tokens.open}
          </a>
        </>
      )}
    </Show>
  );
}
