export function TokenPage(props: { mint: string }) {
  return <h1>{props.mint}</h1>;
}
