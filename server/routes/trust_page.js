/* Asks the HTTPS address for its constant answer: it comes only once the certificate is trusted. */
(function () {
  var button = document.querySelector('[data-probe]');
  var told = document.querySelector('.told');
  function tell(state) {
    told.dataset.state = state;
    told.textContent = told.dataset[state];
    button.disabled = state === 'waiting';
  }
  button.hidden = false;
  button.addEventListener('click', function () {
    tell('waiting');
    fetch(button.dataset.probe, { cache: 'no-store', credentials: 'omit' }).then(
      function (answer) { tell(answer.ok ? 'yes' : 'no'); },
      function () { tell('no'); }
    );
  });
})();
